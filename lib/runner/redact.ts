const mask = '***';
/** Shorter fragments of base64 would hide harmless text. */
const shortestEncoded = 6;

/** Replaces secrets by `***`. One per run; secrets are added while it goes on. */
export class Redactor {
  readonly #forms = new Set<string>();
  #pattern: RegExp | undefined;
  /** Length of the longest text that is replaced: what a cut in the middle of a line has to hold back. */
  longest = 0;

  /** From now on hides the value, each of its lines, its JSON and URL forms, and its base64 form at any place. */
  add(value: string): void {
    const lines = value.split(/\r?\n/).filter((line) => line.trim().length > 3);
    for (const text of new Set([value, value.trim(), ...lines])) {
      if (text.trim() === '') continue;
      for (const form of formsOf(text)) this.#forms.add(form);
    }
    if (this.#forms.size === 0) return;
    const longestFirst = [...this.#forms].sort((left, right) => right.length - left.length);
    this.longest = longestFirst[0]?.length ?? 0;
    this.#pattern = new RegExp(longestFirst.map(escapePattern).join('|'), 'g');
  }

  redact(text: string): string {
    return this.#pattern === undefined ? text : text.replace(this.#pattern, mask);
  }

  /** The same value with every text in it redacted. */
  redactAll<Value>(value: Value): Value {
    if (this.#pattern === undefined) return value;
    if (typeof value === 'string') return this.redact(value) as Value;
    if (Array.isArray(value)) return value.map((item) => this.redactAll(item)) as Value;
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, field]) => [name, this.redactAll(field)]),
    ) as Value;
  }
}

function formsOf(text: string): string[] {
  const bytes = Buffer.from(text);
  const encoded = [0, 1, 2]
    .map((offset) => encodedInside(bytes, offset))
    .filter((form) => form.length >= shortestEncoded);
  const padded = bytes.toString('base64');
  return [
    text,
    JSON.stringify(text).slice(1, -1),
    encodeURIComponent(bytes.toString()),
    ...(padded.length >= shortestEncoded ? [padded] : []),
    ...encoded,
    ...encoded.map((form) => form.replaceAll('+', '-').replaceAll('/', '_')),
  ];
}

/**
 * The characters that do not depend on what stands around the secret when `offset` bytes (modulo 3) come before it in
 * the encoded text: base64 packs 6 bits a character, so those at both borders mix with their neighbours.
 */
function encodedInside(bytes: Buffer, offset: number): string {
  const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
  return encoded.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
}

function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
