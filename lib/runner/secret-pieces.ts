import { patternOf, type SecretPattern } from './secret-pattern.ts';

/** Compiled when it is first needed. */
export type Found = SecretPattern & { expression?: RegExp };

/** Characters of a text for which one expression is made: there is a limit to what an engine can compile. */
const longestPiece = 1000;

/** The patterns for a text of any length: one, or one for each of its pieces. */
export function patternsOf(text: string): SecretPattern[] {
  const pieces = piecesOf(text);
  return pieces.map((piece) => ({ ...patternOf(piece), piece: pieces.length > 1 }));
}

/** Halves of halves, none of them so short that it would hide harmless text. */
function piecesOf(text: string): string[] {
  if (text.length <= longestPiece) return [text];
  const middle = text.length >> 1;
  // Not where the characters on both sides could be taken for one: an escape, a doubled quote, half an emoji.
  const ahead = text.slice(middle - 1, middle + (middle >> 1));
  const cut = middle + Math.max(0, ahead.search(/[^\\'\uD800-\uDBFF][^\\'\uDC00-\uDFFF]/));
  return [...piecesOf(text.slice(0, cut)), ...piecesOf(text.slice(cut))];
}

/** Masks what the patterns of pieces find, neighbours as one. Each is looked for everywhere: a secret may repeat itself. */
export function hidePieces(text: string, found: readonly Found[], mask: string): string {
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
