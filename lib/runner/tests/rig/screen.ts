import { createStyle, type Terminal } from '../../output/terminal.ts';

/**
 * A terminal as far as our output needs one: text with wrapping, line breaks, and the few control sequences that the
 * live view uses. Anything else is an error: it would do something on a real terminal that nobody asked for.
 */
export class Screen {
  columns: number;
  readonly #height: number;
  /**
   * Each character in its column; the right half of a wide one is empty. `wrapped`: the next row goes on with this one.
   */
  #rows: { cells: string[]; wrapped: boolean }[] = [{ cells: [], wrapped: false }];
  #row = 0;
  #column = 0;

  constructor(columns: number, height = 24) {
    this.columns = columns;
    this.#height = height;
  }

  /** What scrolled out and what is seen, without blanks at the ends of lines. */
  get lines(): string[] {
    return this.#rows.map(({ cells }) => cells.join('').trimEnd());
  }

  get cursor(): { readonly row: number; readonly column: number } {
    return { row: this.#row, column: this.#column };
  }

  /** A terminal of this size that writes here. */
  terminal(unicode = true): Terminal {
    return {
      out: (text) => this.write(text),
      err: (text) => this.write(text),
      isTerminal: true,
      columns: () => this.columns,
      rows: () => this.#height,
      style: createStyle(true, unicode),
    };
  }

  write(text: string): void {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it is about
    const tokens = text.match(/\u001B\[[0-?]*[@-~]|\r|\n|[^\u0000-\u001F\u007F-\u009F]|[\s\S]/gu) ?? [];
    for (const token of tokens) this.#take(token);
  }

  /** Breaks lines again at the new width, as most terminals do. */
  resize(columns: number): void {
    while (this.#rows.length > this.#row + 1 && this.#rows.at(-1)?.cells.length === 0) this.#rows.pop();
    const lines: string[][] = [];
    let joined = false;
    let at = 0;
    for (const [index, { cells, wrapped }] of this.#rows.entries()) {
      if (joined) lines.at(-1)?.push(...cells);
      else lines.push([...cells]);
      if (index === this.#row) at = lines.length - 1;
      joined = wrapped;
    }
    this.columns = columns;
    this.#rows = [];
    for (const [index, cells] of lines.entries()) {
      const first = this.#rows.length;
      this.#rows.push({ cells: [], wrapped: false });
      for (let place = 0; place < cells.length; place += 1) {
        const width = cells[place + 1] === '' ? 2 : 1;
        const row = this.#rows.at(-1);
        if (row === undefined || cells[place] === '') continue;
        if (row.cells.length + width <= columns) row.cells.push(...cells.slice(place, place + width));
        else {
          row.wrapped = true;
          this.#rows.push({ cells: cells.slice(place, place + width), wrapped: false });
        }
      }
      if (index === at) this.#row = first;
    }
  }

  #take(token: string): void {
    if (token === '\r') this.#column = 0;
    else if (token === '\n') this.#lineFeed();
    else if (token.startsWith('\u001B[')) this.#control(token.slice(2, -1), token.at(-1) ?? '');
    else if (token < ' ' || (token >= '\u007F' && token <= '\u009F'))
      throw new Error(`a terminal would act on ${JSON.stringify(token)}`);
    else this.#put(token);
  }

  #control(parameters: string, letter: string): void {
    if (letter === 'm') return;
    if (letter === 'A') this.#row = Math.max(this.#top, this.#row - Number(parameters || 1));
    else if (letter === 'J' && parameters === '0') this.#erase();
    else throw new Error(`a terminal would act on CSI ${parameters}${letter}`);
  }

  get #top(): number {
    return Math.max(0, this.#rows.length - this.#height);
  }

  #erase(): void {
    const row = this.#rows[this.#row];
    if (row === undefined) return;
    row.cells.length = Math.min(row.cells.length, this.#column);
    row.wrapped = false;
    for (const below of this.#rows.slice(this.#row + 1)) {
      below.cells.length = 0;
      below.wrapped = false;
    }
  }

  /** As the line discipline does it: to the start of the next line. */
  #lineFeed(): void {
    this.#row += 1;
    this.#column = 0;
    if (this.#row === this.#rows.length) this.#rows.push({ cells: [], wrapped: false });
  }

  #put(character: string): void {
    if (/\p{M}/u.test(character)) {
      const cells = this.#rows[this.#row]?.cells;
      if (cells !== undefined && this.#column > 0) cells[this.#column - 1] += character;
      return;
    }
    const width = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}]/u.test(
      character,
    )
      ? 2
      : 1;
    if (this.#column + width > this.columns) {
      const row = this.#rows[this.#row];
      if (row !== undefined) row.wrapped = true;
      this.#lineFeed();
    }
    const cells = this.#rows[this.#row]?.cells ?? [];
    while (cells.length < this.#column) cells.push(' ');
    cells[this.#column] = character;
    if (width === 2) cells[this.#column + 1] = '';
    this.#column += width;
  }
}
