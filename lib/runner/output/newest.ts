/**
 * The newest lines of a task, about as many as its limits say. In two halves, of which the older is dropped whole:
 * dropping single lines would cost far more.
 */
export class Newest<Line> {
  readonly #most: { readonly lines: number; readonly characters: number };
  #older: Line[] = [];
  #lines: Line[] = [];
  #characters = 0;
  #dropped = 0;

  constructor(most: { readonly lines: number; readonly characters: number }) {
    this.#most = most;
  }

  add(line: Line, characters: number): void {
    this.#lines.push(line);
    this.#characters += characters;
    if (this.#lines.length < this.#most.lines && this.#characters < this.#most.characters) return;
    this.#dropped += this.#older.length;
    this.#older = this.#lines;
    this.#lines = [];
    this.#characters = 0;
  }

  /** The lines, at most so many, and the number of those before them. */
  kept(most = Number.POSITIVE_INFINITY): { readonly lines: Line[]; readonly dropped: number } {
    const all = [...this.#older, ...this.#lines];
    const lines = all.slice(-most);
    return { lines, dropped: this.#dropped + all.length - lines.length };
  }
}
