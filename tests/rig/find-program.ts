import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * An optional program: the one named by a variable, else the first of these names on PATH. Undefined when
 * there is none; a missing program in the variable is an error.
 */
export function findProgram(variable: string, ...names: readonly string[]): string | undefined {
  const { [variable]: given, PATH = '' } = process.env;
  if (given) {
    accessSync(given, constants.X_OK);
    return given;
  }
  const folders = [...PATH.split(delimiter), '/usr/bin', '/usr/sbin'];
  return folders
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return statSync(path).isFile();
      } catch {
        return false;
      }
    });
}
