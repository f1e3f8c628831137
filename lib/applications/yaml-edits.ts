import { TaskError } from '@k8s-deployment/runner';
import {
  isCollection,
  isMap,
  isPair,
  isScalar,
  type Node,
  type Pair,
  parse,
  parseDocument,
  stringify,
} from 'yaml';
import { leavesOf } from '../ground/tree.ts';

/*
 * Edits YAML as text, at places that the parser finds, so that every other byte stays. Writing the parsed document
 * would reformat the whole file.
 */

export type Path = readonly string[];

type Entry = Node | Pair<Node, Node | null>;

/** Adds entries, in lines without indentation, after the last one of the map or list at a path. */
export function addEntries(text: string, path: Path, entries: string): string {
  const { found, entries: present, colon, column } = entriesAt(text, path);
  const last = present.at(-1);
  if (last === undefined) {
    if (colon === 0)
      throw new TaskError({
        what: `there is no \`${path.join('.')}\``,
        advice: 'add it, with the value {}, then run again',
      });
    if (!isCollection(found) && !(isScalar(found) && found.value === null))
      throw new TaskError({
        what: `nothing can be added to \`${path.join('.')}\``,
        why: 'what follows its key is neither a map nor a list',
        advice: 'give it the value {}, then run again',
      });
    // Without the brackets of an empty map or list.
    const behind = isCollection(found) ? rangeOf(found)[1] : colon;
    const end = endOfLine(text, behind);
    return `${text.slice(0, colon)}${text.slice(behind, end)}${indented(entries, ' '.repeat(column + 2))}${text.slice(end)}`;
  }
  const gap = entries.includes('\n\n') ? '\n' : '';
  const start = startOfLine(text, startOf(last));
  const end = endOfEntry(text, last);
  const indent = /^ */.exec(text.slice(start))?.[0] ?? '';
  const before = text.slice(0, end);
  return `${before}${before.endsWith('\n') ? '' : '\n'}${gap}${indented(entries, indent)}${text.slice(end)}`;
}

export type Edit = { readonly path: Path; readonly value: string };

/**
 * Replaces texts at paths that exist; quoted where readers would take one for something else. `left` are those whose
 * value is shared (by an alias or `<<`) with one that wants another, and those beside them in the same map.
 */
export function replaceValues(
  text: string,
  edits: readonly Edit[],
): { readonly text: string; readonly left: readonly Edit[] } {
  const document = parseDocument(text);
  const before = leaves(text);
  const wanted = new Map(edits.map(({ path, value }) => [keyOf(path), value]));
  const places = edits.flatMap(({ path, value }) => {
    const found = document.getIn(path, true);
    if (!isScalar(found)) return [];
    const place = { range: rangeOf(found), value: stringify(value).trim() };
    const changed = [...leaves(replaced(text, [place]))].filter(([key, now]) => now !== before.get(key));
    return changed.every(([key, now]) => now === wanted.get(key)) ? [place] : [];
  });
  const after = replaced(text, places);
  const now = leaves(after);
  const undone = edits.filter(({ path, value }) => now.get(keyOf(path)) !== value);
  if (undone.length === 0) return { text: after, left: [] };
  const maps = new Set(undone.map(mapOf));
  const alone = edits.filter((edit) => !maps.has(mapOf(edit)));
  const rest = replaceValues(text, alone);
  return { text: rest.text, left: [...edits.filter((edit) => !alone.includes(edit)), ...rest.left] };
}

const mapOf = ({ path }: Edit): string => keyOf(path.slice(0, -1));

const keyOf = (path: Path): string => path.join('\n');

/** Values by path, as readers see them. */
const leaves = (text: string): Map<string, unknown> =>
  new Map(leavesOf(parse(text, { merge: true })).map(({ path, value }) => [keyOf(path), value]));

type Place = { readonly range: readonly [start: number, end: number]; readonly value: string };

/** From the end, so that the other places stay right. */
const replaced = (text: string, places: readonly Place[]): string =>
  [...places]
    .sort((one, other) => other.range[0] - one.range[0])
    .reduce((done, { range, value }) => done.slice(0, range[0]) + value + done.slice(range[1]), text);

/**
 * Removes the entries whose key or value fits, with the comment above each. Unchanged without such an entry or path.
 */
export function removeEntries(
  text: string,
  path: Path,
  fits: (key: string | undefined, value: unknown) => boolean,
): string {
  const { document, entries, colon } = entriesAt(text, path);
  const gone = entries.map((entry) =>
    isPair(entry)
      ? fits(String(entry.key), entry.value?.toJS(document))
      : fits(undefined, (entry as Node).toJS(document)),
  );
  const [first] = entries;
  if (first === undefined || !gone.includes(true)) return text;
  let end = startOfLine(text, startOf(first));
  let edited = text.slice(0, end);
  for (const [index, entry] of entries.entries()) {
    const start = startOfLine(text, startOf(entry));
    const between = text.slice(end, start);
    end = endOfEntry(text, entry);
    if (gone[index]) edited += between.replace(lead, '');
    // The first one needs no empty line above.
    else
      edited += `${gone.slice(0, index).includes(false) ? between : between.replace(/^\n/, '')}${text.slice(start, end)}`;
  }
  edited += text.slice(end);
  if (gone.includes(false)) return edited;
  return `${edited.slice(0, colon)} ${isPair(first) ? '{}' : '[]'}${edited.slice(colon)}`;
}

/** What belongs to an entry above it: the comment, and the empty line above that. */
const lead = /(?<=^|\n)\n?(?: *#[^\n]*\n)*$/;

/**
 * The map or list at a path, its entries, its key's column and the place behind its colon; nothing without such a path.
 */
function entriesAt(text: string, path: Path) {
  const document = parseDocument(text, { merge: true });
  const found = document.getIn(path, true) as Node | undefined;
  const entries = isCollection(found) ? (found.items as Entry[]) : [];
  if (isCollection(found) && found.flow && entries.length > 0)
    throw new TaskError({
      what: `\`${path.join('.')}\` is written in brackets`,
      why: 'entries are added and removed by lines',
      advice: 'write each of its entries on a line of its own, without brackets, then run again',
    });
  const above = document.getIn(path.slice(0, -1), true);
  const pairs = isMap<Node>(above) ? above.items : [];
  const [start, end] = rangeOf(pairs.find(({ key }) => String(key) === path.at(-1))?.key);
  const colon = end === 0 ? 0 : text.indexOf(':', end) + 1;
  return { document, found, entries, colon, column: start - startOfLine(text, start) };
}

const rangeOf = (node: Node | undefined): readonly [start: number, end: number] => {
  const [start = 0, end = 0] = node?.range ?? [];
  return [start, end];
};

const startOf = (entry: Entry): number => rangeOf(isPair(entry) ? (entry.key as Node) : entry)[0];

/** End of an entry's last value; a collection's own range includes comments and empty lines behind it. */
function endOf(entry: Entry): number {
  const node = isPair(entry) ? ((entry.value ?? entry.key) as Node) : entry;
  const last = isCollection(node) && !node.flow ? (node.items.at(-1) as Entry | undefined) : undefined;
  return last === undefined ? rangeOf(node)[1] : endOf(last);
}

/** Start of the line behind an entry and the comments that are indented more than it. */
function endOfEntry(text: string, entry: Entry): number {
  const end = endOfLine(text, endOf(entry));
  const column = /^ */.exec(text.slice(startOfLine(text, startOf(entry))))?.[0].length ?? 0;
  const comments = new RegExp(`^(?:\\n* {${column + 1},}#[^\\n]*(?:\\n|$))+`).exec(text.slice(end));
  return end + (comments?.[0].length ?? 0);
}

const startOfLine = (text: string, offset: number): number => text.lastIndexOf('\n', offset - 1) + 1;

/** The start of the next line; `offset` itself behind a line break, as at the end of a text block. */
function endOfLine(text: string, offset: number): number {
  if (text[offset - 1] === '\n') return offset;
  const end = text.indexOf('\n', offset);
  return end < 0 ? text.length : end + 1;
}

const indented = (lines: string, indent: string): string => lines.replace(/^(?=.)/gm, indent);
