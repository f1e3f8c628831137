import { stripVTControlCharacters } from 'node:util';
import { ownBeginning } from '../output/text.ts';
import type { RecordedLine } from './recorded-run.ts';

/** Limits for the last lines of a task: their number, and the characters of each. */
const linesOfTask = 1000;
const lineLength = 2000;

/** The last lines of a task, in bounded memory. */
export class KeptLines {
  readonly #lines: RecordedLine[] = [];
  #dropped = 0;

  add(line: RecordedLine): void {
    this.#lines.push({ ...line, text: ownBeginning(plain(line.text), lineLength) });
    // Trims rarely, since each trim moves the list.
    if (this.#lines.length >= linesOfTask * 2) this.#dropped += this.#lines.splice(0, linesOfTask).length;
  }

  /** The lines, and the number of those before them. */
  get kept(): { readonly lines: readonly RecordedLine[]; readonly dropped: number } {
    const lines = this.#lines.slice(-linesOfTask);
    return { lines, dropped: this.#dropped + this.#lines.length - lines.length };
  }
}

/** Without colours; a carriage return becomes a new line. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what has no look of its own
  return stripVTControlCharacters(text).replace(/[\u0000-\u0008\u000B-\u001F\u007F]/g, '');
}
