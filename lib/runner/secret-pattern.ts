/** Finds a secret in all its notations. */
export type SecretPattern = {
  readonly source: string;
  readonly longest: number;
  /** Four letters or digits in every match; undefined if there are none. */
  readonly anchor: string | undefined;
  /** True for a part of a secret that is too long for one expression. */
  readonly piece: boolean;
  /** Compiled on first use. */
  expression?: RegExp;
};

/** In a text of base64: any of its characters, or none. Half an emoji, which no secret is. */
export const anyEncoded = '\uD800';

/** At least the characters of one in its longest spelling: each of three bytes as `%25E2`. */
const longestSpelling = 15;

/** JSON in JSON in a shell: this many backslashes before a character count as its escape. */
const backslashes = 4;

/**
 * A pattern for a text whose characters may each be plain or escaped as in JSON (`\n`, `\u003c`), URLs (`%2F`, `+`),
 * XML (`&amp;`), shells (`\ `, `'\''`) or YAML (`''`), since encoders differ in what they escape.
 */
function patternOf(text: string, piece: boolean): SecretPattern {
  let source = '';
  let longest = 0;
  // Several backslashes or quotes in a row are one unit: repeated separately, they could match in very many ways.
  for (const character of text.match(/\\+|'+|[^\\']/gu) ?? []) {
    const isPlain = /^[A-Za-z0-9]$/.test(character);
    source += isPlain ? character : `(?:${spellingsOf(character).join('|')})`;
    longest += isPlain ? 1 : longestSpelling * character.length;
  }
  // Nothing escapes letters and digits.
  return { source, longest, anchor: /[A-Za-z0-9]{4}/.exec(text)?.[0], piece };
}

/** Characters with a short escape in JSON or shells, or a name in XML. */
const special: { readonly [character: string]: readonly string[] } = {
  ' ': ['+'],
  "'": ["'\\''", `'"'"'`, "''", '&#39;', '&#x27;', '&apos;'],
  '"': ['&quot;', '&#34;'],
  '&': ['&amp;'],
  '<': ['&lt;'],
  '>': ['&gt;'],
  '\n': ['\r\n'],
};

function spellingsOf(character: string): string[] {
  if (character === anyEncoded) return [...[...'+/-_'].flatMap(spellingsOf), '[A-Za-z0-9]?'];
  const characters = [...character];
  const escaped = characters.map((one) => `\\\\{0,${backslashes}}${escapePattern(one)}`).join('');
  // As in JSON, such as n for a line break.
  const [, letter] = /^"\\([a-z])"$/.exec(JSON.stringify(character)) ?? [];
  const bytes = [...Buffer.from(character)].map((byte) => `%(?:25)?${hexadecimal(byte, 2)}`);
  const units = character.split('').map((unit) => hexadecimal(unit.charCodeAt(0), 4));
  return [
    ...(special[characters[0] ?? ''] ?? []).map((one) => escapePattern(one.repeat(characters.length))),
    // Each escaping doubles a backslash.
    character.startsWith('\\') ? `\\\\{${character.length},${2 * backslashes * character.length}}` : escaped,
    ...(letter === undefined ? [] : [`\\\\{1,${backslashes}}${letter}`]),
    bytes.join(''),
    units.map((unit) => `\\\\{1,${backslashes}}u${unit}`).join(''),
  ];
}

/** In upper or lower case. */
function hexadecimal(number: number, digits: number): string {
  const text = number.toString(16).padStart(digits, '0');
  return text.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`);
}

function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** Maximum length of one expression, since engines have limits. */
const longestPiece = 1000;

/** The patterns for a text: one, or one for each piece. */
export function patternsOf(text: string): SecretPattern[] {
  const pieces = piecesOf(text);
  return pieces.map((piece) => patternOf(piece, pieces.length > 1));
}

/** Halves the text repeatedly, but never so far that a piece hides harmless text. */
function piecesOf(text: string): string[] {
  if (text.length <= longestPiece) return [text];
  const middle = text.length >> 1;
  // Not between characters that belong together: an escape, a doubled quote, half an emoji.
  const ahead = text.slice(middle - 1, middle + (middle >> 1));
  const cut = middle + Math.max(0, ahead.search(/[^\\'\uD800-\uDBFF][^\\'\uDC00-\uDFFF]/));
  return [...piecesOf(text.slice(0, cut)), ...piecesOf(text.slice(cut))];
}

/** Masks matches of pieces, neighbours as one. Searches everywhere, since a secret may repeat itself. */
export function hidePieces(text: string, found: readonly SecretPattern[], mask: string): string {
  const ranges: [start: number, end: number][] = [];
  for (const { expression, piece } of found) {
    if (!piece || expression === undefined) continue;
    for (let match = expression.exec(text); match !== null; match = expression.exec(text)) {
      ranges.push([match.index, expression.lastIndex]);
      expression.lastIndex = match.index + 1;
    }
  }
  ranges.sort(([left], [right]) => left - right);
  let shown = '';
  let end = 0;
  for (const [from, to] of ranges) {
    if (from > end || end === 0) shown += text.slice(end, from) + mask;
    end = Math.max(end, to);
  }
  return shown + text.slice(end);
}
