import { createStyle, type Terminal } from '../../output/terminal.ts';

/** A line on the screen: a text of several is wrapped. */
type Row = { readonly line: number; readonly start: number };

/**
 * A terminal as far as our output needs one: text with wrapping, line breaks, and the few control sequences that the
 * live view uses. Anything else is an error: it would do something on a real terminal that nobody asked for.
 */
export class Screen {
  /** Lines break again when it changes, as in most terminals. */
  columns: number;
  readonly #height: number;
  /** Each character in its column; the right half of a wide one is empty. */
  #lines: string[][] = [[]];
  #at: Row = { line: 0, start: 0 };
  /** Rows that the cursor has been through. */
  #passed = 1;

  constructor(columns: number, height = 24) {
    this.columns = columns;
    this.#height = height;
  }

  get #rows(): Row[] {
    return this.#lines.flatMap((cells, line) => {
      const starts = [0];
      for (const [place, cell] of cells.entries()) {
        const width = cells[place + 1] === '' ? 2 : 1;
        if (cell !== '' && place + width - (starts.at(-1) ?? 0) > this.columns) starts.push(place);
      }
      return starts.map((start) => ({ line, start }));
    });
  }

  get #row(): number {
    return this.#rows.findLastIndex(({ line, start }) => line === this.#at.line && start <= this.#at.start);
  }

  /** What scrolled out and what is seen, without blanks at the ends of lines. */
  get lines(): string[] {
    return this.#rows.map(({ line, start }, row, rows) => {
      const next = rows[row + 1];
      const end = next?.line === line ? next.start : undefined;
      return (this.#lines[line] ?? []).slice(start, end).join('').trimEnd();
    });
  }

  get cursor(): { readonly row: number; readonly column: number } {
    const row = this.#row;
    return { row, column: this.#at.start - (this.#rows[row]?.start ?? 0) };
  }

  terminal(): Terminal {
    return {
      out: (text) => this.write(text),
      err: (text) => this.write(text),
      isTerminal: true,
      columns: () => this.columns,
      rows: () => this.#height,
      style: createStyle(true, true),
    };
  }

  write(text: string): void {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it is about
    const tokens = text.match(/\u001B\[[0-?]*[@-~]|\r|\n|[^\u0000-\u001F\u007F-\u009F]|[\s\S]/gu) ?? [];
    for (const token of tokens) this.#take(token);
  }

  #take(token: string): void {
    const control = token.startsWith('\u001B[') ? token.slice(2) : '';
    if (token === '\r') this.#go(this.#row);
    // As the line discipline does it: to the start of the next line.
    else if (token === '\n') this.#go(this.#row + 1);
    else if (/^\d*A$/.test(control))
      this.#go(Math.max(0, this.#passed - this.#height, this.#row - (Number.parseInt(control, 10) || 1)));
    else if (control === '0J') this.#erase();
    else if (/^\P{Cc}/u.test(token)) this.#put(token);
    else if (!/^[\d;]*m$/.test(control)) throw new Error(`a terminal would act on ${JSON.stringify(token)}`);
  }

  #go(row: number): void {
    this.#passed = Math.max(this.#passed, row + 1);
    this.#at = this.#rows[row] ?? { line: this.#lines.push([]) - 1, start: 0 };
  }

  #erase(): void {
    this.#lines.length = this.#at.line + 1;
    this.#lines.at(-1)?.splice(this.#at.start);
  }

  #put(character: string): void {
    const { line, start } = this.#at;
    const cells = this.#lines[line] ?? [];
    if (/\p{M}/u.test(character)) {
      if (start > 0) cells[start - 1] += character;
      return;
    }
    const wide = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{Emoji_Presentation}]/u.test(character);
    while (cells.length < start) cells.push(' ');
    cells.splice(start, wide ? 2 : 1, ...(wide ? [character, ''] : [character]));
    this.#at = { line, start: start + (wide ? 2 : 1) };
    this.#passed = Math.max(this.#passed, this.#row + 1);
  }
}
