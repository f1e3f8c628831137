import { eastAsianWidth } from 'get-east-asian-width';

/* Children's text: its width on a terminal, and how it is made harmless there. */

// biome-ignore-start lint/suspicious/noControlCharactersInRegex: control characters are what this is about
const controls = /[\u0000-\u0008\u000A-\u001F\u007F-\u009F]/;
const sequences = new RegExp(
  [
    // CSI: `ESC [` or its single character, parameters, and a final letter.
    '(?:\\u001B\\[|\\u009B)[0-?]*[ -/]*[@-~]',
    // OSC, DCS, SOS, PM and APC with their text: titles, links, the clipboard.
    '(?:\\u001B[\\]PX^_]|[\\u0090\\u0098\\u009D-\\u009F])[^\\u0007\\u001B\\u0080-\\u009F]*(?:\\u0007|\\u001B\\\\|\\u009C)',
    // Two or three characters: character sets, reset, saved cursors.
    '\\u001B[ -/]+[0-~]',
    '\\u001B[0-Z\\\\^-~]',
    // Other control characters; many at once, as in binary data.
    '[\\u0000-\\u0008\\u000A-\\u001A\\u001C-\\u001F\\u007F-\\u008F]+',
    '[\\u001B\\u0080-\\u009F]',
  ].join('|'),
  'g',
);
const colour = /^\u001B\[[\d;:]*m$/;
const noColour = /^\u001B\[0?m$/;
// biome-ignore-end lint/suspicious/noControlCharactersInRegex: see above

/**
 * A line without sequences that move the cursor, clear, rename the window or reach the clipboard. Colours stay and
 * end with the line.
 */
export function neutralLine(line: string): string {
  if (!controls.test(line)) return line;
  let coloured = false;
  const neutral = line.replace(sequences, (found) => {
    if (!colour.test(found)) return '';
    coloured = !noColour.test(found);
    return found;
  });
  return coloured ? `${neutral}\u001B[0m` : neutral;
}

/** A line without colours, and with blanks for tabs, so that its width is known. */
export function plainText(line: string): string {
  const text = controls.test(line) ? line.replace(sequences, '') : line;
  return text.replaceAll('\t', ' ').trim();
}

/**
 * A copy of a line's beginning, with the line's length if it is longer. A mere slice would keep the whole line in
 * memory.
 */
export function ownBeginning(line: string, length: number): string {
  if (line.length <= length) return line;
  return Buffer.from(`${line.slice(0, length)} … (${line.length} characters)`).toString();
}

const ascii = /^[ -~]*$/;
const nothing = /^[\p{Mn}\p{Me}\p{Cf}\u1160-\u11FF]$/u;

/** Width of a text without control characters; the larger one where terminals differ. */
export function textWidth(text: string): number {
  if (ascii.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

/** The text cut to this many columns, ending with the ellipsis if shortened. */
export function cutText(text: string, columns: number, ellipsis: string): string {
  if (textWidth(text) <= columns) return text;
  const room = columns - textWidth(ellipsis);
  if (room < 0) return '';
  let width = 0;
  let kept = '';
  for (const character of text) {
    width += characterWidth(character);
    if (width > room) break;
    kept += character;
  }
  return kept + ellipsis;
}

function characterWidth(character: string): number {
  // Most terminals show the soft hyphen; the selector makes a narrow symbol wide.
  if (character === '\u00AD' || character === '\uFE0F') return 1;
  if (nothing.test(character)) return 0;
  return eastAsianWidth(character.codePointAt(0) ?? 0);
}

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
