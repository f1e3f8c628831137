import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { taskCommand } from '../ground/launcher.ts';
import type { Environment } from '../settings/context.ts';
import { readStateFile, writeStateFile } from '../settings/environment.ts';

/** Old and new passwords of each role with an unfinished rotation. */
export type Rotation = { readonly [role: string]: { readonly old: string; readonly new: string } };

const file = 'database-rotation.json';

/** The unfinished rotation of an earlier run, empty if there is none. Throws `TaskError` if it is unreadable. */
export const readRotation = async (environment: Pick<Environment, 'name' | 'state'>): Promise<Rotation> =>
  (await readStateFile<Rotation>(environment, file, {
    what: ' is damaged',
    isWhole: (begun) => typeof begun === 'object' && begun !== null,
    why: 'it has the passwords of an unfinished rotation',
    advice: `keep a copy: the server may accept no other passwords. If ${taskCommand('status')} reports none as refused, move it away`,
  })) ?? {};

export const writeRotation = (environment: Pick<Environment, 'state'>, rotation: Rotation): Promise<void> =>
  writeStateFile(environment, file, rotation);

export const endRotation = ({ state }: Pick<Environment, 'state'>) => rm(join(state, file), { force: true });
