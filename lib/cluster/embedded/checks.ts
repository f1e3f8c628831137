import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../../ground/project.ts';
import type { EnvironmentContext } from '../../settings/context.ts';
import { type Environment, writeWhole } from '../../settings/environment.ts';
import { inBackground, isUp, launchService } from './launch.ts';

const program = 'lib/cluster/embedded/job-runner.ts';
/** What of it may come to know another kind of Job, or another variable. */
const parts = ['lib/cluster/embedded/pod.ts', 'lib/verification/run-check.ts', 'lib/database/set-up.ts'];

export const jobRunnerCommands = (environment: Environment): readonly string[] => [
  inBackground(environment, 'job-runner', [
    'node',
    '--import',
    'tsx',
    program,
    environment.name,
    `${environment.state}/`,
  ]),
];

/**
 * Starts the service that runs the Jobs of simulated pods as processes. One that was started from other sources is replaced: it
 * would let a Job that it does not know pass.
 */
export async function ensureJobRunner(context: EnvironmentContext): Promise<'changed' | 'unchanged'> {
  const { environment } = context;
  // It has no port of its own to be asked: that it lives is all there is to see.
  const ready = async () => true;
  const record = join(environment.state, 'job-runner.sha256');
  const hash = createHash('sha256');
  for (const source of [program, ...parts]) hash.update(await readFile(join(root, source)));
  const sources = hash.digest('hex');
  const known = await readFile(record, 'utf8').catch(() => '');
  if (known.trim() === sources && (await isUp(environment, 'job-runner', ready))) return 'unchanged';
  await writeWhole(record, `${sources}\n`);
  return launchService(context, {
    name: 'job-runner',
    program: process.execPath,
    // The state folder is only there to be found in the list of processes.
    command: [
      process.execPath,
      '--import',
      'tsx',
      join(root, program),
      environment.name,
      `${environment.state}/`,
    ],
    ports: {},
    ready,
  });
}
