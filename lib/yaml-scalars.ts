/** What YAML 1.1 takes for a boolean and YAML 1.2 for a text. */
const oldBoolean = /^(?:y|n|yes|no|on|off)$/i;

/** `1_000`, `0b11`, `0o17`, `-0x1f`, `1.` */
const number =
  /^[-+]?(?:0b[01_]+|0o[0-7_]+|0x[\da-f_]+|\d[\d_]*(?:\.[\d_]*)?(?:e[-+]?\d+)?|\.\d[\d_]*(?:e[-+]?\d+)?)$/i;

/** To the base of 60, as times of day are written. */
const sexagesimal = /^[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.[\d_]*)?$/;

const date = /^\d{4}-\d\d?-\d\d?(?:[Tt\s].*)?$/;

/**
 * What a scalar without quotes is for some reader of YAML, in words, where that is not the text as it is written; undefined
 * where all agree. `value` is what YAML 1.2 makes of it.
 */
export function notAsWritten(source: string, value: unknown): string | undefined {
  if (typeof value === 'number') {
    return String(value) === source && !/e/i.test(source) ? undefined : `the number ${value}`;
  }
  if (typeof value === 'boolean') return String(value) === source ? undefined : `the boolean ${value}`;
  if (typeof value !== 'string') return undefined;
  if (oldBoolean.test(source))
    return `the boolean ${/^(?:y|yes|on)$/i.test(source)} for some readers, a text for others`;
  if (number.test(source) || sexagesimal.test(source)) return 'a number for some readers, a text for others';
  if (date.test(source)) return 'a date for some readers, a text for others';
  return undefined;
}
