import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { textIfThere } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import { type Environment, writeWhole } from '../settings/environment.ts';

/** The passwords of each role whose rotation is not finished. */
export type Rotation = { readonly [role: string]: { readonly old: string; readonly new: string } };

const path = (environment: Environment): string => join(environment.state, 'database-rotation.json');

/** The rotation that an earlier run began; empty if there is none. Throws `TaskError` if the file cannot be read. */
export async function readRotation(environment: Environment): Promise<Rotation> {
  const text = await textIfThere(path(environment));
  if (text === undefined) return {};
  try {
    const begun = JSON.parse(text) as unknown;
    if (typeof begun !== 'object' || begun === null) throw new Error('it is not a map');
    return begun as Rotation;
  } catch (error) {
    throw new TaskError({
      what: `.state/${environment.name}/database-rotation.json is damaged`,
      why: 'it has the passwords of an unfinished rotation',
      advice: `keep a copy: the server may accept no other passwords. If ${taskCommand('status')} reports none as refused, move it away`,
      cause: error,
    });
  }
}

/** The file is readable for the user alone. */
export const writeRotation = (environment: Environment, rotation: Rotation): Promise<void> =>
  writeWhole(path(environment), `${JSON.stringify(rotation, null, 2)}\n`);

export const endRotation = (environment: Environment): Promise<void> =>
  rm(path(environment), { force: true });
