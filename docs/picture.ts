import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

/*
 * Draws a recorded terminal session as an SVG. docs/run.svg comes from
 *
 *     script -qec "bash docs/session.sh" /tmp/session.txt > /dev/null
 *     node --import tsx docs/picture.ts < /tmp/session.txt > docs/run.svg
 *
 * Understands what npm and the live view of the runner write: text, colours, carriage return, cursor up, clear to the
 * end.
 */

/** Written by `script`. */
const leftOut = /^Script (started|done) /;
const columnWidth = 8.4;
const lineHeight = 20;
const margin = 20;

/** Colours by SGR number; any other number ends them. */
const colours: Readonly<Record<string, string>> = {
  2: '#8b949e',
  31: '#ff7b72',
  32: '#7ee787',
  33: '#e3b341',
  36: '#79c0ff',
};
const foreground = '#e6edf3';

type Piece = { readonly text: string; readonly colour: string };
type Line = readonly Piece[];

/** The lines on the screen at the end of a session. */
export function screenOf(session: string): Line[] {
  const lines: Piece[][] = [[]];
  let colour = foreground;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
  for (const [part, parameter = '', command] of session.matchAll(/\x1b\[(\d*)([A-Za-z])|\n|[^\x1b\n\r]+/g)) {
    if (command === 'm') colour = colours[Number(parameter)] ?? foreground;
    // The live view clears everything below after it has moved up.
    else if (command === 'A') lines.splice(-1 - Number(parameter), Infinity, []);
    else if (command === 'K') lines.splice(-1, 1, []);
    else if (part === '\n') lines.push([]);
    else if (command === undefined) lines.at(-1)?.push({ text: part, colour });
  }
  return lines;
}

const textOf = (line: Line): string => line.map((piece) => piece.text).join('');
const escapeText = (words: string): string => words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** An SVG of the lines that tell something. */
export function svgOf(screen: readonly Line[]): string {
  const lines = screen.filter((line) => textOf(line) !== '' && !leftOut.test(textOf(line)));
  const width = Math.ceil(Math.max(...lines.map((line) => textOf(line).length)) * columnWidth) + 2 * margin;
  const height = lines.length * lineHeight + 2 * margin;
  const rows = lines.map((line, index) => {
    const spans = line.map(({ text, colour }) => `<tspan fill="${colour}">${escapeText(text)}</tspan>`);
    return `<text x="${margin}" y="${margin + index * lineHeight + 15}">${spans.join('')}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<title>A terminal: an environment is created, then its status is shown</title>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<style>text, tspan { white-space: pre }</style>
<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14">
${rows.join('\n')}
</g>
</svg>
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.stdout.write(svgOf(screenOf(await text(process.stdin))));
