import { sep } from 'node:path';
import { root } from './project.ts';

/** A word for a POSIX shell in the project's folder, quoted if necessary; a path in the folder begins with `$PWD`. */
export function shellWord(text: string): string {
  if (text.includes(root + sep)) return `"${text.replaceAll(root + sep, '$PWD/')}"`;
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

export const shellWords = (words: readonly string[]): string => words.map(shellWord).join(' ');

/** Commands of which each needs the one before: pasted into a shell, the others are left out after a failure. */
export const eachAfter = (commands: readonly string[]): string => commands.join(' &&\n');
