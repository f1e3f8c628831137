/** One word for a POSIX shell, quoted only where it has to be. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A command as text, ready to paste. */
export const shellWords = (words: readonly string[]): string => words.map(shellWord).join(' ');
