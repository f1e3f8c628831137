/** Boolean in YAML 1.1, text in YAML 1.2. */
const oldBoolean = /^(?:y|n|yes|no|on|off)$/i;

/** `1_000`, `0b11`, `0o17`, `-0x1f`, `1.` */
const number =
  /^[-+]?(?:0b[01_]+|0o[0-7_]+|0x[\da-f_]+|\d[\d_]*(?:\.[\d_]*)?(?:e[-+]?\d+)?|\.\d[\d_]*(?:e[-+]?\d+)?)$/i;

/** A number to base 60, written like a time of day. */
const sexagesimal = /^[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.[\d_]*)?$/;

const date = /^\d{4}-\d\d?-\d\d?(?:[Tt\s].*)?$/;

/** Another interpretation of a scalar, and a form that all readers agree on, if any. */
type OtherReading = { readonly reading: string; readonly plain?: string };

/** How some readers interpret an unquoted scalar differently; undefined if none. `value` is YAML 1.2's. */
export function otherReading(source: string, value: unknown): OtherReading | undefined {
  switch (typeof value) {
    case 'number':
    case 'boolean': {
      const plain = String(value);
      // Not all readers take infinity, NaN and exponents for numbers.
      const isPlain = !/[a-z]/i.test(plain) || typeof value === 'boolean';
      if (plain === source && isPlain) return undefined;
      return { reading: `the ${typeof value} ${plain}`, ...(isPlain && { plain }) };
    }
    case 'string':
      return ofText(source);
    default:
      return undefined;
  }
}

function ofText(source: string): OtherReading | undefined {
  const some = (what: string): OtherReading => ({ reading: `${what} for some readers, a text for others` });
  if (oldBoolean.test(source)) {
    const plain = String(/^(?:y|yes|on)$/i.test(source));
    return { ...some(`the boolean ${plain}`), plain };
  }
  if (number.test(source) || sexagesimal.test(source)) return some('a number');
  return date.test(source) ? some('a date') : undefined;
}
