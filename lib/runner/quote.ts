/** One word for any POSIX shell; zx's own form (`$'…'`) is only understood by bash. */
export function quote(text: string): string {
  return /^[\w/.:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
