import { sep } from 'node:path';
import { root } from './project.ts';

/** One word for a POSIX shell in the project's folder, quoted only where it has to be; a path into the folder begins with `$PWD`. */
export function shellWord(text: string): string {
  if (text.includes(root + sep)) return `"${text.replaceAll(root + sep, '$PWD/')}"`;
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A command as text, ready to paste. */
export const shellWords = (words: readonly string[]): string => words.map(shellWord).join(' ');
