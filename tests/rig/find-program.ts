import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { isExecutable } from '../../lib/tools/on-path.ts';

/**
 * An optional program: the one named by a variable, else the first of these names on PATH. Undefined when
 * there is none; a missing program in the variable is an error.
 */
export function findProgram(variable: string, ...names: readonly string[]): string | undefined {
  const { [variable]: given, PATH = '' } = process.env;
  if (given) accessSync(given, constants.X_OK);
  const folders = [...PATH.split(delimiter), '/usr/bin', '/usr/sbin'];
  return given || folders.flatMap((folder) => names.map((name) => join(folder, name))).find(isExecutable);
}
