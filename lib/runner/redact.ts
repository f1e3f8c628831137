import { type Found, hidePieces, patternsOf, type SecretPattern } from './secret-pattern.ts';

const mask = '***';
/** Fields of events, of a recorded run and of the view of a graph that are no text: a secret may be `task` or `done`. */
const notText = new Set(
  'type id name because needs from to kind marks stream outcome status report signal'.split(' '),
);
/** Shorter fragments of base64 would hide harmless text. */
const shortestEncoded = 6;
/** Of a secret of several lines each one is hidden by itself, but not `{` and the like. */
const shortestLine = 4;

/**
 * Replaces secrets by `***`. One per run; secrets are added while it goes on. Any length is hidden, so that one of few
 * characters makes a log hard to read; what was written before a secret was added is not called back.
 */
export class Redactor {
  readonly #known = new Set<string>();
  readonly #index = new AnchorIndex();
  /** Patterns without an anchor: each text is searched for them. */
  readonly #always: Found[] = [];
  readonly #broken = new BrokenForms();
  /** Length of the longest text that is replaced: what a cut in the middle of a line has to hold back. */
  longest = 0;

  /**
   * From now on hides the value and each of its lines, as they are and as JSON, URLs, shells and YAML write them, and their
   * base64 at any place in a longer text, also one that is broken into lines.
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
    if (this.#known.size === 0) return text;
    let redacted = this.#broken.redact(text);
    const found = [...this.#index.find(redacted), ...this.#always];
    if (found.length === 0) return redacted;
    // Of two that begin in the same way the longer one is replaced whole.
    found.sort((left, right) => right.longest - left.longest);
    for (const pattern of found) pattern.expression ??= new RegExp(pattern.source, 'g');
    redacted = hidePieces(redacted, found, mask);
    for (const { expression, piece } of found)
      if (!piece && expression !== undefined) redacted = redacted.replace(expression, mask);
    return redacted;
  }

  /** The same value with every text in it redacted, but not the names by which its parts find each other. */
  redactAll<Value>(value: Value): Value {
    if (this.#known.size === 0) return value;
    if (typeof value === 'string') return this.redact(value) as Value;
    if (Array.isArray(value)) return value.map((item) => this.redactAll(item)) as Value;
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, field]) => [name, notText.has(name) ? field : this.redactAll(field)]),
    ) as Value;
  }

  #add(pattern: SecretPattern): void {
    if (this.#known.has(pattern.source)) return;
    this.#known.add(pattern.source);
    this.longest = Math.max(this.longest, pattern.longest);
    if (pattern.anchor === undefined) this.#always.push({ ...pattern });
    else this.#index.add(pattern.anchor, { ...pattern });
  }
}

const anchorLength = 4;

/**
 * Finds the patterns that can be in a text, by four letters that stand in each. A key of some 50 lines has hundreds of
 * forms: to try all of them at each place of each line would take longer than everything else in a run.
 */
class AnchorIndex {
  readonly #patterns = new Map<number, Found[]>();
  /** Whether a key with these last bits is in the map: faster to ask than that. */
  readonly #seen = new Uint8Array(1 << 20);

  add(anchor: string, pattern: Found): void {
    let key = 0;
    for (let place = 0; place < anchorLength; place += 1) key = nextKey(key, anchor.charCodeAt(place));
    this.#seen[key & 0xfffff] = 1;
    this.#patterns.set(key, [...(this.#patterns.get(key) ?? []), pattern]);
  }

  find(text: string): Set<Found> {
    const found = new Set<Found>();
    let key = 0;
    for (let place = 0; place < text.length; place += 1) {
      key = nextKey(key, text.charCodeAt(place));
      if (this.#seen[key & 0xfffff] === 0) continue;
      for (const pattern of this.#patterns.get(key) ?? []) found.add(pattern);
    }
    return found;
  }
}

/** The last four characters, seven bits of each. */
function nextKey(key: number, character: number): number {
  return ((key << 7) | (character & 0x7f)) & 0xfffffff;
}

/** What no line of nothing but base64 has: `base64` breaks it after 76 characters, PEM files after 64. */
const notEncoded = /[^A-Za-z0-9+/_=-]|=(?!=?$)/;

type Place = { readonly form: string; readonly place: number };

/**
 * Finds what a line of base64 has of a secret whose other part stands in the lines around it. Each line is looked at by
 * itself, so that none has to wait for the next one: up to three characters of a secret may stay at a border.
 */
class BrokenForms {
  /** Where in a form four characters stand. */
  readonly #places = new Map<string, Place[]>();
  /** Not in the map yet: created with the first such line. */
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

  /** Without a pattern for all of the line: one that goes back overflows the stack in a line of some million characters. */
  readonly #redactLine = (all: string): string => {
    const line = all.trim();
    if (line.length < anchorLength || notEncoded.test(line)) return all;
    const plain = line.replaceAll('-', '+').replaceAll('_', '/');
    const start = this.#atStart(plain);
    const end = start === line.length ? start : this.#atEnd(plain, start);
    if (start === 0 && end === line.length) return all;
    const shown = `${start > 0 ? mask : ''}${line.slice(start, end)}${end < line.length ? mask : ''}`;
    return all.replace(line, () => shown);
  };

  /** How many characters at the start belong to a form that ends there, or goes on in the next line. */
  #atStart(line: string): number {
    let longest = 0;
    for (const { form, place } of this.#placesOf(line.slice(0, anchorLength))) {
      const length = Math.min(line.length, form.length - place);
      if (length > longest && line.startsWith(form.slice(place, place + length))) longest = length;
    }
    return longest;
  }

  /** Where the form begins that goes on in the next line; the end of the line when there is none. */
  #atEnd(line: string, from: number): number {
    let first = line.length;
    for (const { form, place } of this.#placesOf(line.slice(-anchorLength))) {
      const start = line.length - place - anchorLength;
      if (start >= from && start < first && line.startsWith(form.slice(0, line.length - start), start))
        first = start;
    }
    return first;
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
  const forms = base64Of(Buffer.from(text)).flatMap((form) => [
    form,
    form.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, ''),
  ]);
  // In a URL or JSON the three special characters are escaped again.
  return [...new Set(forms)].flatMap(patternsOf);
}

/** The secret by itself, and inside of a longer text. */
function base64Of(bytes: Buffer): string[] {
  const forms = [bytes.toString('base64'), ...[0, 1, 2].map((offset) => encodedInside(bytes, offset))];
  return forms.filter((form) => form.length >= shortestEncoded);
}

/**
 * The characters that do not depend on what stands around the secret when `offset` bytes (modulo 3) come before it in
 * the encoded text: base64 packs 6 bits a character, so those at both borders mix with their neighbours.
 */
function encodedInside(bytes: Buffer, offset: number): string {
  const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
  return encoded.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
}
