import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { textIfThere } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import { TaskError } from '../runner/runner.ts';
import { type Environment, writeWhole } from '../settings/environment.ts';

/** Both passwords of each role whose rotation has begun and not ended, by role. */
export type Rotation = { readonly [role: string]: { readonly old: string; readonly new: string } };

const path = (state: string): string => join(state, 'database-rotation.json');

/** What an earlier run has begun; empty when there is nothing to complete. Throws `TaskError` for a file that cannot be read. */
export async function readRotation({ name, state }: Environment): Promise<Rotation> {
  const text = await textIfThere(path(state));
  if (text === undefined) return {};
  try {
    const begun = JSON.parse(text) as unknown;
    if (typeof begun !== 'object' || begun === null) throw new Error('it holds no map');
    return begun as Rotation;
  } catch (error) {
    throw new TaskError({
      what: `.state/${name}/database-rotation.json is damaged`,
      why: 'it holds the passwords of a rotation that did not come to its end',
      advice: `keep a copy of it: it may hold the only passwords that the server takes. Where ${taskCommand('status')} finds them right (it says so), move it away`,
      cause: error,
    });
  }
}

/** Only the user can read it. */
export const writeRotation = ({ state }: Environment, rotation: Rotation): Promise<void> =>
  writeWhole(path(state), `${JSON.stringify(rotation, null, 2)}\n`);

export const endRotation = ({ state }: Environment): Promise<void> => rm(path(state), { force: true });
