import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { taskCommand } from '../ground/launcher.ts';
import { type Environment, readStateFile, writeStateFile } from '../settings/environment.ts';

/** The passwords of each role whose rotation is not finished. */
export type Rotation = { readonly [role: string]: { readonly old: string; readonly new: string } };

const file = 'database-rotation.json';

/** The rotation that an earlier run began; empty if there is none. Throws `TaskError` if the file cannot be read. */
export const readRotation = async (environment: Pick<Environment, 'name' | 'state'>): Promise<Rotation> =>
  (await readStateFile<Rotation>(environment, file, {
    what: ' is damaged',
    isWhole: (begun) => typeof begun === 'object' && begun !== null,
    why: 'it has the passwords of an unfinished rotation',
    advice: `keep a copy: the server may accept no other passwords. If ${taskCommand('status')} reports none as refused, move it away`,
  })) ?? {};

export const writeRotation = (environment: Pick<Environment, 'state'>, rotation: Rotation): Promise<void> =>
  writeStateFile(environment, file, rotation);

export const endRotation = ({ state }: Pick<Environment, 'state'>): Promise<void> =>
  rm(join(state, file), { force: true });
