import { stripVTControlCharacters } from 'node:util';
import { ownBeginning } from '../output/text.ts';
import type { RecordedLine } from './recorded-run.ts';

/** Limits for the last lines of a task: their number, and the characters of each. */
const linesOfTask = 1000;
const lineLength = 2000;
/** Characters of all tasks together. */
const room = 16_000_000;

/** The last lines of each task of a run, in bounded memory. */
export class KeptLines {
  readonly #tasks = new Map<number, { lines: RecordedLine[]; dropped: number }>();
  #limit = linesOfTask;
  #used = 0;

  add(task: number, line: RecordedLine): void {
    const kept = this.#tasks.get(task) ?? { lines: [], dropped: 0 };
    this.#tasks.set(task, kept);
    const text = ownBeginning(plain(line.text), lineLength);
    kept.lines.push({ ...line, text });
    this.#used += text.length;
    // Trims rarely, since each trim moves the list.
    if (kept.lines.length >= this.#limit * 2) this.#trim(kept);
    while (this.#used > room && this.#limit > 1) {
      this.#limit = Math.ceil(this.#limit / 2);
      for (const each of this.#tasks.values()) this.#trim(each);
    }
  }

  of(task: number): { readonly lines: readonly RecordedLine[]; readonly dropped: number } {
    const { lines = [], dropped = 0 } = this.#tasks.get(task) ?? {};
    const over = Math.max(0, lines.length - this.#limit);
    return { lines: lines.slice(over), dropped: dropped + over };
  }

  #trim(kept: { lines: RecordedLine[]; dropped: number }): void {
    const over = Math.max(0, kept.lines.length - this.#limit);
    for (const line of kept.lines.splice(0, over)) this.#used -= line.text.length;
    kept.dropped += over;
  }
}

/** Without colours; a carriage return becomes a new line. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what has no look of its own
  return stripVTControlCharacters(text).replace(/[\u0000-\u0008\u000B-\u001F\u007F]/g, '');
}
