import { spawn } from 'node:child_process';
import { type Ended, ended } from '../../lib/runner/tests/rig/ended.ts';

/** Runs a bash script. */
export const bash = (
  script: string,
  { folder, env }: { readonly folder: string; readonly env: NodeJS.ProcessEnv },
): Promise<Ended> =>
  ended(spawn('bash', ['-c', script], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] }));
