import { StringDecoder } from 'node:string_decoder';
import { neutralLine } from './output/text.ts';
import type { Redactor } from './redact.ts';

/** A line of up to this many characters stays one line; a longer one is shown in pieces. It has to be held in memory. */
const longestLine = 8 << 20;

/**
 * Cuts a child's output into whole lines, so that a secret or a character that arrives in two chunks is seen as one. A
 * carriage return (progress bars) ends a line too. Control characters other than colours are left out.
 */
export class LineSplitter {
  readonly #decoder = new StringDecoder('utf8');
  readonly #redactor: Redactor;
  readonly #onLine: (line: string) => void;
  /** Only the new part is searched for line breaks: to look at all of a long line again with each chunk is quadratic. */
  #rest = '';
  /** The last chunk ended with a carriage return, and with it a line; a line feed that follows belongs to it. */
  #returned = false;

  readonly #longest: number;

  constructor(redactor: Redactor, onLine: (line: string) => void, longest = longestLine) {
    this.#redactor = redactor;
    this.#onLine = onLine;
    this.#longest = longest;
  }

  /** A chunk of the output, or a text to be added at its end. */
  push(chunk: Buffer | string): void {
    const text = typeof chunk === 'string' ? this.#decoder.end() + chunk : this.#decoder.write(chunk);
    if (text === '') return;
    const [first = '', ...others] = text.slice(this.#returned && text[0] === '\n' ? 1 : 0).split(/\r\n?|\n/);
    this.#returned = text.endsWith('\r');
    this.#rest += first;
    for (const line of others) {
      this.#onLine(neutralLine(this.#rest));
      this.#rest = line;
    }
    while (this.#rest.length > this.#longest) this.#cut();
  }

  #cut(): void {
    const redacted = this.#redactor.redact(this.#rest);
    // A secret may lie across the cut: as much as the longest one stays behind.
    const held = Math.min(this.#redactor.longest, redacted.length >> 1);
    const end = redacted.length - held;
    const place = isLowSurrogate(redacted.charCodeAt(end)) ? end - 1 : end;
    this.#rest = redacted.slice(place);
    this.#onLine(neutralLine(redacted.slice(0, place)));
  }
}

/** The second half of a character that takes two. */
function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code < 0xe000;
}

/** Smaller chunks are put together: each one on its own costs more than it holds. */
const smallChunk = 4096;

/** What a stream of a child has printed, at most the last `limit` bytes of it (a chunk more or less). zx fills it: a list with `push`. */
export class Capture extends Array<Buffer> {
  readonly #limit: number;
  #bytes = 0;
  /** The beginning was left out. */
  truncated = false;

  constructor(limit: number) {
    super();
    this.#limit = limit;
  }

  override push(chunk: Buffer): number {
    const last = this.at(-1);
    if (last !== undefined && last.length < smallChunk && chunk.length < smallChunk)
      this[this.length - 1] = Buffer.concat([last, chunk]);
    else super.push(chunk);
    this.#bytes += chunk.length;
    for (
      let [first] = this;
      first !== undefined && this.#bytes - first.length >= this.#limit;
      [first] = this
    ) {
      this.#bytes -= first.length;
      this.shift();
      this.truncated = true;
    }
    return this.length;
  }

  /** Decoded as UTF-8; a beginning that was cut starts with the next whole line. */
  text(): string {
    const text = Buffer.concat([...this]).toString('utf8');
    const end = text.indexOf('\n');
    return this.truncated && end < text.length - 1 ? text.slice(end + 1) : text;
  }
}
