import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Outcome } from '../../ground/outcome.ts';
import type { EnvironmentContext, InEnvironment } from '../../settings/context.ts';
import type { Environment } from '../../settings/environment.ts';
import { inBackground, isUp, launchService } from './launch.ts';

const program = 'lib/cluster/embedded/job-runner.ts';
/** Sources that decide which Jobs and variables it knows. */
const parts = ['lib/cluster/embedded/pod.ts', 'lib/verification/run-check.ts', 'lib/database/set-up.ts'];

/** The state folder is no argument of the program: processes.ts finds the process by it. */
const jobRunnerWords = (node: string, path: string, { name, state }: Environment): readonly string[] => [
  ...[node, '--import', 'tsx', path, name, `${state}/`],
];

export const jobRunnerCommands = ({ environment }: InEnvironment): readonly string[] => [
  inBackground(environment, 'job-runner', jobRunnerWords('node', program, environment)),
];

/**
 * Starts the service that runs the Jobs of simulated pods as processes. Replaces one that runs older sources: it would let a
 * Job that it does not know pass.
 */
export async function ensureJobRunner(context: EnvironmentContext): Promise<Outcome> {
  const { environment } = context;
  const { root } = environment;
  // It has no port: alive is ready.
  const ready = async () => true;
  const hash = createHash('sha256');
  for (const source of [program, ...parts]) hash.update(await readFile(join(root, source)));
  const digest = hash.digest('hex');
  if (await isUp(environment, 'job-runner', ready, digest)) return 'unchanged';
  return launchService(context, {
    name: 'job-runner',
    program: process.execPath,
    command: jobRunnerWords(process.execPath, join(root, program), environment),
    ports: {},
    ready,
    digest,
  });
}
