import { eastAsianWidth } from 'get-east-asian-width';

/* What a child prints is text of others: how wide it is on a terminal, and how it is kept from doing anything there. */

// biome-ignore-start lint/suspicious/noControlCharactersInRegex: control characters are what this is about
const controls = /[\u0000-\u0008\u000A-\u001F\u007F-\u009F]/;
const sequences = new RegExp(
  [
    // CSI: `ESC [` or its single character, parameters, and a letter that says what it does.
    '(?:\\u001B\\[|\\u009B)[0-?]*[ -/]*[@-~]',
    // OSC, DCS, SOS, PM and APC with their text: titles, links, the clipboard.
    '(?:\\u001B[\\]PX^_]|[\\u0090\\u0098\\u009D-\\u009F])[^\\u0007\\u001B\\u0080-\\u009F]*(?:\\u0007|\\u001B\\\\|\\u009C)',
    // Two or three characters: character sets, reset, saved cursors.
    '\\u001B[ -/]+[0-~]',
    '\\u001B[0-Z\\\\^-~]',
    // Not the characters that begin one of the others; as many as there are, since binary data is full of them.
    '[\\u0000-\\u0008\\u000A-\\u001A\\u001C-\\u001F\\u007F-\\u008F]+',
    '[\\u001B\\u0080-\\u009F]',
  ].join('|'),
  'g',
);
const colour = /^\u001B\[[\d;:]*m$/;
const noColour = /^\u001B\[0?m$/;
// biome-ignore-end lint/suspicious/noControlCharactersInRegex: see above

/**
 * A line without anything that moves the cursor, clears, renames the window or reaches the clipboard; colours stay, and end
 * with the line.
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

/** A line without colours too, and with blanks for tabs: of a width that is known. */
export function plainText(line: string): string {
  const text = controls.test(line) ? line.replace(sequences, '') : line;
  return text.replaceAll('\t', ' ').trim();
}

/**
 * The beginning of a line for those who keep it, with its length where that is more. A copy: a part of a string holds on to all
 * of it.
 */
export function ownBeginning(line: string, length: number): string {
  if (line.length <= length) return line;
  return Buffer.from(`${line.slice(0, length)} … (${line.length} characters)`).toString();
}

const ascii = /^[ -~]*$/;
const nothing = /^[\p{Mn}\p{Me}\p{Cf}\u1160-\u11FF]$/u;

/** Columns that a text without control characters takes; where terminals differ, the larger number. */
export function textWidth(text: string): number {
  if (ascii.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

/** How many lines a text takes on a terminal of this width: a wide character never stands half on the next one. */
export function linesOf(text: string, columns: number): number {
  let lines = 1;
  let column = 0;
  for (const character of text) {
    const width = characterWidth(character);
    column += width;
    if (column <= columns) continue;
    lines += 1;
    column = width;
  }
  return lines;
}

/** At most this many columns of a text, with the ellipsis at the end when something was left out. */
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
  // The soft hyphen is shown by most; this selector makes a narrow symbol wide.
  if (character === '\u00AD' || character === '\uFE0F') return 1;
  if (nothing.test(character)) return 0;
  return eastAsianWidth(character.codePointAt(0) ?? 0);
}
