/** One word for any POSIX shell; zx's own form (`$'…'`) is only understood by bash. */
export function quote(text: string): string {
  return /^[\w/.:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Throws for a value that is `undefined` or `null`: zx would write that word into the command. */
export function checkValues(pieces: readonly string[], values: readonly unknown[]): void {
  for (const [index, value] of values.entries()) {
    const items: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (items.some((item) => item === undefined || item === null)) {
      const before = pieces.slice(0, index + 1).join('…');
      throw new Error(`expected a value after \`${before}\`, got \`${String(value)}\``);
    }
  }
}
