import { anyEncoded, hidePieces, patternsOf, type SecretPattern } from './secret-pattern.ts';

const mask = '***';
/** Fields of events, recorded runs and graph views that are not text: a secret may be `task` or `done`. */
const notText = new Set(
  'type id name because needs from to kind marks stream outcome status report signal'.split(' '),
);
/** Characters by which patterns and forms are found. */
const anchorLength = 4;
/** Shorter base64 fragments would hide harmless text. */
const shortestEncoded = 6;
/** Each line of a longer secret is hidden, but not `{` and the like. */
const shortestLine = 4;

/**
 * Replaces secrets by `***`. One per run, to which secrets are added as it goes on. Even short ones are hidden,
 * although that may make a log hard to read; what was written before stays.
 */
export class Redactor {
  /**
   * Patterns by their anchor, to find candidates in a text: a key of 50 lines has hundreds of forms, and trying all
   * everywhere would take longer than the rest of a run. Those without one, under '', are tried on each text.
   */
  readonly #patterns = new Map<string, SecretPattern[]>();
  #anchors: RegExp | undefined;
  readonly #broken = new BrokenForms();
  /** Length of the longest text to replace, to hold back when a line is cut. */
  longest = 0;

  /**
   * Hides the value and each of its lines from now on: plain, as written by JSON, URLs, shells and YAML, and in
   * base64 at any place of a longer text, even across lines.
   */
  add(value: string): void {
    if (value.trim() !== '') this.#broken.add(Buffer.from(value.trim()));
    const lines = value.split(/\r?\n/).filter((line) => line.trim().length >= shortestLine);
    for (const text of new Set([value, value.trim(), ...lines])) {
      if (text.trim() === '') continue;
      for (const pattern of [...patternsOf(text), ...encodedForms(text)]) this.#add(pattern);
    }
  }

  redact(text: string): string {
    if (this.#patterns.size === 0) return text;
    let redacted = this.#broken.redact(text);
    this.#anchors ??= new RegExp([...this.#patterns.keys()].filter(Boolean).join('|'));
    const parts = new Set(['']);
    if (this.#anchors.test(redacted))
      for (let place = 0; place < redacted.length; place += 1)
        parts.add(redacted.slice(place, place + anchorLength));
    const found = [...parts].flatMap((anchor) => this.#patterns.get(anchor) ?? []);
    if (found.length === 0) return redacted;
    // If one begins like another, the longer one is replaced.
    found.sort((left, right) => right.longest - left.longest);
    for (const pattern of found) pattern.expression ??= new RegExp(pattern.source, 'g');
    redacted = hidePieces(redacted, found, mask);
    for (const { expression, piece } of found)
      if (!piece && expression !== undefined) redacted = redacted.replace(expression, mask);
    return redacted;
  }

  /** The value with every text redacted, except names by which parts refer to each other. */
  redactAll<Value>(value: Value): Value {
    if (this.#patterns.size === 0) return value;
    if (typeof value === 'string') return this.redact(value) as Value;
    if (Array.isArray(value)) return value.map((item) => this.redactAll(item)) as Value;
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, field]) => [name, notText.has(name) ? field : this.redactAll(field)]),
    ) as Value;
  }

  #add(pattern: SecretPattern): void {
    const { anchor = '' } = pattern;
    const others = this.#patterns.get(anchor) ?? [];
    if (others.some(({ source }) => source === pattern.source)) return;
    this.#patterns.set(anchor, [...others, pattern]);
    this.longest = Math.max(this.longest, pattern.longest);
    this.#anchors = undefined;
  }
}

/** What a line of pure base64 never contains: `base64` breaks it after 76 characters, PEM files after 64. */
const notEncoded = /[^A-Za-z0-9+/_=-]|=(?!=?$)/;

type Place = { readonly form: string; readonly place: number };

/**
 * Hides parts of a secret's base64 that continues in neighbouring lines. Looks at each line alone, so that none has
 * to wait for the next; up to three characters of a secret may remain at a border.
 */
class BrokenForms {
  /** Positions of four characters in the forms. */
  readonly #places = new Map<string, Place[]>();
  /** Indexed with the first line of base64. */
  readonly #added: string[] = [];

  add(bytes: Buffer): void {
    this.#added.push(...base64Of(bytes));
  }

  redact(text: string): string {
    return text
      .split(/([\r\n]+)/)
      .map(this.#redactLine)
      .join('');
  }

  /** Uses no pattern for the whole line: backtracking would overflow the stack on a line of millions of characters. */
  readonly #redactLine = (all: string): string => {
    const line = all.trim();
    if (line.length < anchorLength || notEncoded.test(line)) return all;
    const plain = line.replaceAll('-', '+').replaceAll('_', '/');
    const start = this.#atStart(plain);
    const end = Math.max(start, this.#atEnd(plain));
    if (start === 0 && end === line.length) return all;
    const shown = `${start > 0 ? mask : ''}${line.slice(start, end)}${end < line.length ? mask : ''}`;
    return all.replace(line, () => shown);
  };

  /** Number of characters at the start that belong to a form that ends there or fills the line. */
  #atStart(line: string): number {
    const parts = this.#placesOf(line.slice(0, anchorLength))
      .map(({ form, place }) => form.slice(place, place + line.length))
      .filter((part) => line.startsWith(part.replace(anyEncoded, '')));
    return Math.max(0, ...parts.map(({ length }) => length));
  }

  /** Start of a form that continues in the next line; the end of the line if there is none. */
  #atEnd(line: string): number {
    const lengths = this.#placesOf(line.slice(-anchorLength))
      .filter(({ form, place }) => line.endsWith(form.slice(0, place + anchorLength).replace(anyEncoded, '')))
      .map(({ place }) => place + anchorLength);
    return line.length - Math.max(0, ...lengths);
  }

  #placesOf(characters: string): readonly Place[] {
    for (const form of new Set(this.#added.splice(0))) {
      for (let place = 0; place + anchorLength <= form.length; place += 1) {
        const key = form.slice(place, place + anchorLength);
        const places = this.#places.get(key);
        if (places === undefined) this.#places.set(key, [{ form, place }]);
        else places.push({ form, place });
      }
    }
    return this.#places.get(characters) ?? [];
  }
}

function encodedForms(text: string): SecretPattern[] {
  return base64Of(Buffer.from(text)).flatMap((form) =>
    // URLs and JSON escape the three special characters again.
    [form, form.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')].flatMap(patternsOf),
  );
}

/** The secret's base64 alone and in longer text, where its 6-bit characters at the borders may mix with neighbours. */
function base64Of(bytes: Buffer): string[] {
  const inside = [0, 1, 2].map((before) => {
    const end = before + bytes.length;
    const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const own = encoded.slice(Math.ceil((before * 8) / 6), Math.floor((end * 8) / 6));
    return (before > 0 ? anyEncoded : '') + own + (end % 3 > 0 ? anyEncoded : '');
  });
  return [bytes.toString('base64'), ...inside].filter(
    (form) => form.replaceAll(anyEncoded, '').length >= shortestEncoded,
  );
}
