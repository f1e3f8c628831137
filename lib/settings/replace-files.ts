import { mkdir, realpath, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ifThere, textIfThere } from '../ground/if-there.ts';
import { writeWhole } from './environment.ts';

export type NewFile = {
  /** Absolute. */
  readonly path: string;
  /** undefined: the file is removed. */
  readonly text: string | undefined;
  /** Default: that of the present file, or 0644. */
  readonly mode?: number;
};

/** Writes and removes files together, in this order. If one fails, all are as before, and the error is thrown. */
export async function replaceFiles(files: readonly NewFile[]): Promise<void> {
  const undo: (() => Promise<unknown>)[] = [];
  try {
    for (const { path: named, text, mode } of files) {
      // A link stays one.
      const path = text === undefined ? named : ((await ifThere(realpath(named))) ?? named);
      const before = await textIfThere(path);
      const kept = ((await ifThere(stat(path)))?.mode ?? 0o644) & 0o777;
      const created = await mkdir(dirname(path), { recursive: true });
      undo.push(async () => {
        await (before === undefined ? rm(path, { force: true }) : writeWhole(path, before, kept));
        if (created !== undefined) await rm(created, { recursive: true });
      });
      await (text === undefined ? rm(path) : writeWhole(path, text, mode ?? kept));
    }
  } catch (error) {
    for (const back of undo.reverse()) await back().catch(() => undefined);
    throw error;
  }
}
