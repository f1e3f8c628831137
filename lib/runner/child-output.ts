import { StringDecoder } from 'node:string_decoder';
import { neutralLine } from './output/text.ts';
import type { Redactor } from './redact.ts';

/** Characters up to which a line is shown in one piece. It has to fit in memory. */
const longestLine = 8 << 20;

/**
 * Splits a child's output, of which it is given chunk after chunk or text at the end, into lines, so that a secret or
 * character in two chunks is seen whole. A carriage return (progress bars) ends a line too. Removes control characters
 * except colours.
 */
export function lineSplitter(redactor: Redactor, onLine: (line: string) => void, longest = longestLine) {
  const decoder = new StringDecoder('utf8');
  /** Only new text is searched for line breaks: searching a long line again for each chunk is quadratic. */
  let rest = '';
  /** True if the last chunk ended with a carriage return; a line feed after it belongs to the same break. */
  let returned = false;
  return (chunk: Buffer | string): void => {
    const text = typeof chunk === 'string' ? decoder.end() + chunk : decoder.write(chunk);
    if (text === '') return;
    const [first = '', ...others] = text.slice(returned && text[0] === '\n' ? 1 : 0).split(/\r\n?|\n/);
    returned = text.endsWith('\r');
    rest += first;
    for (const line of others) {
      onLine(neutralLine(rest));
      rest = line;
    }
    while (rest.length > longest) {
      const redacted = redactor.redact(rest);
      // A secret may cross the cut, so the length of the longest one is held back.
      const end = redacted.length - Math.min(redactor.longest, redacted.length >> 1);
      const place = isLowSurrogate(redacted.charCodeAt(end)) ? end - 1 : end;
      rest = redacted.slice(place);
      onLine(neutralLine(redacted.slice(0, place)));
    }
  };
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code < 0xe000;
}

/** Smaller chunks are merged, since each has overhead. */
const smallChunk = 4096;

/** A stream's output, about the last `limit` bytes. zx fills it with `push`. */
export class Capture extends Array<Buffer> {
  readonly #limit: number;
  #bytes = 0;
  /** True if the beginning was dropped. */
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

  /** Decoded as UTF-8; a truncated beginning starts with the next whole line. */
  text(): string {
    const text = Buffer.concat([...this]).toString('utf8');
    const end = text.indexOf('\n');
    return this.truncated && end < text.length - 1 ? text.slice(end + 1) : text;
  }
}
