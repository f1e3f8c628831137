import { StringDecoder } from 'node:string_decoder';
import { neutralLine } from './output/text.ts';
import type { Redactor } from './redact.ts';

/** A line that does not end is shown in pieces of this many characters. */
const longestLine = 64 * 1024;

/**
 * Cuts a child's output into whole lines, so that a secret or a character that arrives in two chunks is seen as one. A
 * carriage return (progress bars) ends a line too. Control characters other than colours are left out.
 */
export class LineSplitter {
  readonly #decoder = new StringDecoder('utf8');
  readonly #redactor: Redactor;
  readonly #onLine: (line: string) => void;
  #rest = '';

  constructor(redactor: Redactor, onLine: (line: string) => void) {
    this.#redactor = redactor;
    this.#onLine = onLine;
  }

  push(chunk: Buffer | string): void {
    const text = this.#rest + (typeof chunk === 'string' ? chunk : this.#decoder.write(chunk));
    // A carriage return at the very end may be the first half of a line break.
    const lines = text.split(/\r?\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#onLine(neutralLine(line));
    while (this.#rest.length > longestLine) this.#cut();
  }

  end(): void {
    const last = (this.#rest + this.#decoder.end()).replace(/\r$/, '');
    this.#rest = '';
    if (last !== '') this.#onLine(neutralLine(last));
  }

  #cut(): void {
    const redacted = this.#redactor.redact(this.#rest);
    // A secret may lie across the cut: as much as the longest one stays behind.
    const place = Math.max(longestLine / 2, redacted.length - this.#redactor.longest);
    this.#rest = redacted.slice(place);
    this.#onLine(neutralLine(redacted.slice(0, place)));
  }
}
