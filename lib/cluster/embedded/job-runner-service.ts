import { join } from 'node:path';
import { fileDigest, filesBelow } from '../../ground/file-digest.ts';
import type { Environment, EnvironmentContext, InEnvironment, Outcome } from '../../settings/context.ts';
import { ensureService, inBackground } from './launch.ts';

const program = 'lib/cluster/embedded/job-runner.ts';
/** Folders with its sources. */
const parts = ['lib/cluster/embedded', 'lib/database', 'lib/verification'];

/** processes.ts finds the process by the state folder, which the program itself does not read. */
const jobRunnerWords = (node: string, path: string, { name, state }: Environment): readonly string[] => [
  ...[node, '--import', 'tsx', path, name, `${state}/`],
];

export const jobRunnerCommands = ({ environment }: InEnvironment): readonly string[] => [
  inBackground(environment, 'job-runner', jobRunnerWords('node', program, environment)),
];

/**
 * Starts the service that runs Jobs of simulated pods as processes. Restarts one with older sources, which would let
 * an unknown Job pass.
 */
export async function ensureJobRunner(context: EnvironmentContext): Promise<Outcome> {
  const { environment } = context;
  const { root } = environment;
  return ensureService(context, {
    name: 'job-runner',
    digest: await sourcesDigest(root),
    command: async () => jobRunnerWords(process.execPath, join(root, program), environment),
  });
}

export async function sourcesDigest(root: string): Promise<string> {
  const files = await Promise.all(parts.map((folder) => filesBelow(root, folder)));
  return fileDigest(root, files.flat());
}
