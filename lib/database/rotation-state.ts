import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Environment, writeWhole } from '../environment.ts';
import { TaskError } from '../runner/runner.ts';

/** Both passwords of each role whose rotation has begun and not ended, by role. */
export type Rotation = { readonly [role: string]: { readonly old: string; readonly new: string } };

const path = (environment: Environment): string => join(environment.state, 'database-rotation.json');

/** What an earlier run has begun; empty when there is nothing to complete. Throws `TaskError` for a file that cannot be read. */
export async function readRotation(environment: Environment): Promise<Rotation> {
  try {
    return JSON.parse(await readFile(path(environment), 'utf8')) as Rotation;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new TaskError({
      what: `.state/${environment.name}/database-rotation.json is damaged`,
      why: 'it holds the passwords of a rotation that did not come to its end',
      advice:
        'if `status` finds the database well, remove the file; or else bring back the encrypted file that fits (git)',
      cause: error,
    });
  }
}

/** Only the user can read it. */
export const writeRotation = (environment: Environment, rotation: Rotation): Promise<void> =>
  writeWhole(path(environment), `${JSON.stringify(rotation, null, 2)}\n`);

export const endRotation = (environment: Environment): Promise<void> =>
  rm(path(environment), { force: true });
