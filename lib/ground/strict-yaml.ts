import { TaskError } from '@k8s-deployment/runner';
import type { Document, Node, Pair, Scalar } from 'yaml';

/** A YAML file that all its readers interpret alike. */
export type StrictYaml = {
  /** The content, with merge keys (`<<`) resolved; null for an empty file. */
  readonly value: unknown;
  /** Line of a path of keys, or of its nearest existing parent, counted from 1. */
  readonly lineOf: (path: readonly string[]) => number;
};

const notUtf8 = 'not UTF-8';

type Refuse = (offset: number, problem: string, advice: string) => never;

/**
 * Reads YAML that helmfile and helm also read. They (go-yaml v3 and v2) mix YAML 1.1 and 1.2; this process follows
 * 1.2. Refuses what they interpret differently: `1.10` (the number 1.1), `0123` (octal), `1_000`, `yes`, `12:30:45`,
 * dates, tags, keys that are not text. Throws `TaskError` with file and line; `toFix` is its advice if the text is no
 * YAML.
 */
export async function readStrictYaml(
  text: string,
  file: string,
  toFix = 'fix the file and run again; nothing was changed',
): Promise<StrictYaml> {
  const { parseDocument, visit, isScalar, isCollection } = await import('yaml');
  const refuse: Refuse = (offset, problem, advice) => {
    throw new TaskError({
      what: `${file}:${lineAt(text, offset)}: ${problem}`,
      why: problem === notUtf8 ? undefined : 'YAML readers do not agree on its meaning',
      advice,
    });
  };
  checkCharacters(text, refuse);
  const document = parseDocument(text, { merge: true, logLevel: 'error' });
  const [error] = document.errors;
  if (error?.code === 'MULTIPLE_DOCS')
    refuse(error.pos[0], 'a second document begins', 'remove the line `---` or what follows it');
  if (error !== undefined) throw invalid(file, error.message, toFix, lineAt(text, error.pos[0]));
  const blocks: Offsets[] = [];
  // `alias.resolve` would walk the whole document for each alias.
  const anchors = new Set<string | undefined>();
  visit(document, {
    Pair: (_, pair) => checkKey(pair, text, refuse),
    Alias: (_, alias, path) => {
      checkAnchor(alias, alias.source, refuse);
      const within = path.some((above) => isCollection(above) && above.anchor === alias.source);
      if (within || !anchors.has(alias.source))
        throw invalid(
          file,
          `\`*${alias.source}\` has no anchor above it`,
          toFix,
          lineAt(text, startOf(alias)),
        );
    },
    Node: (key, node, path) => {
      checkAnchor(node, node.anchor, refuse);
      anchors.add(node.anchor);
      if (node.tag !== undefined) refuse(startOf(node), `the tag \`${node.tag}\``, 'leave it out');
      if (key === 'key' || !isScalar(node)) return;
      if (node.type?.startsWith('BLOCK_') && node.range) blocks.push(node.range);
      const inFlow = path.some((above) => isCollection(above) && above.flow === true);
      checkScalar(node, text, { inFlow, isPassword: isPassword(path.at(-1)) }, refuse);
    },
  });
  checkTabs(text, blocks, refuse);
  try {
    return {
      value: document.toJS() as unknown,
      lineOf: (path) => lineAt(text, offsetOf(document, path)),
    };
  } catch (failure) {
    // Too many aliases.
    throw invalid(file, (failure as Error).message, toFix);
  }
}

const invalid = (file: string, message: string, advice: string, line?: number): TaskError =>
  new TaskError({
    what: `${file}${line === undefined ? '' : `:${line}`} is not valid YAML`,
    why: message.split(/:?\n/)[0] ?? '',
    advice,
  });

type Offsets = readonly [start: number, ...ends: number[]];

const startOf = (node: { readonly range?: Offsets | null | undefined }): number => node.range?.[0] ?? 0;

const lineAt = (text: string, offset: number): number => text.slice(0, offset).split('\n').length;

function offsetOf(document: Document, path: readonly string[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const node = document.getIn(path.slice(0, length), true) as Node | undefined;
    if (node?.range) return startOf(node);
  }
  return 0;
}

/** Control characters, YAML 1.1's line ends, and U+FFFD, which replaces invalid UTF-8. */
const oddCharacter =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /\r(?!\n)|[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufffd-\uffff]|(?<!^)\ufeff/;

function checkCharacters(text: string, refuse: Refuse): void {
  const odd = oddCharacter.exec(text);
  if (odd !== null) {
    const code = (odd[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
    refuse(
      odd.index,
      code === 'FFFD' ? notUtf8 : `the character U+${code}`,
      'save the file as UTF-8; in double quotes special characters are written as \\u and four digits',
    );
  }
  const directive = /^%/m.exec(text);
  if (directive !== null) refuse(directive.index, 'a directive', 'leave it out');
}

/** helmfile refuses a tab on an empty line, except in a text block. */
function checkTabs(text: string, blocks: readonly Offsets[], refuse: Refuse): void {
  for (const { index } of text.matchAll(/^ *\t[ \t]*$/gm)) {
    if (blocks.some(([start, end = start]) => start <= index && index < end)) continue;
    refuse(index, 'an empty line with a tab', 'remove the tab');
  }
}

function checkAnchor(
  node: { readonly range?: Offsets | null },
  name: string | undefined,
  refuse: Refuse,
): void {
  if (name === undefined || /^[\w-]+$/.test(name)) return;
  refuse(startOf(node), `the anchor \`${name}\``, 'name it with letters, digits, - and _');
}

function checkKey({ key }: Pair, text: string, refuse: Refuse): void {
  const { value, source, type, range } = key as Partial<Scalar>;
  if (/^:[,\]}]/.test(text.slice(range?.[1], (range?.[1] ?? 0) + 2)))
    refuse(
      startOf({ range }),
      `\`${source}:\` within brackets`,
      'write it in quotes, or a blank behind the colon',
    );
  const isMerge = source === '<<' && type === 'PLAIN';
  const isText = typeof value === 'string' && value !== '<<';
  if (isMerge || (isText && (type !== 'PLAIN' || otherReading(value, value) === undefined))) return;
  refuse(
    startOf({ range }),
    source === undefined ? 'a key that is no text' : `the key \`${source}\``,
    'a key is a text: write it in quotes',
  );
}

/** Escapes of YAML 1.2 and JSON that go-yaml refuses: `\/` and surrogates. */
const foreignEscape = /(?<!\\)(?:\\\\)*\\(?:\/|u[dD][89a-fA-F])/;

/** True if the key's value must not be shown, as it may be a password. */
const isPassword = (above: unknown): boolean => {
  const key = (above as Partial<Pair>)?.key as Partial<Scalar> | undefined;
  return /password$/i.test(String(key?.value));
};

function checkScalar(
  scalar: Scalar,
  text: string,
  { inFlow, isPassword }: { readonly inFlow: boolean; readonly isPassword: boolean },
  refuse: Refuse,
): void {
  const { type, source = '', value } = scalar;
  const start = startOf(scalar);
  if (type === 'QUOTE_DOUBLE' && foreignEscape.test(text.slice(start, scalar.range?.[1])))
    refuse(start, 'an escape that not every reader knows', 'write the character itself');
  // go-yaml refuses it in a block, and writes every multi-line text as one.
  if ((type?.startsWith('BLOCK_') || source.includes('\n')) && /^\n*\t/.test(source))
    refuse(start, 'a text of several lines that begins with a tab', 'begin it with something else');
  if (type !== 'PLAIN') return;
  if (inFlow && /^:|\?/.test(source))
    refuse(start, `\`${source}\` within brackets`, `write ${quoted(source)}`);
  const other = otherReading(source, value);
  if (other === undefined) return;
  if (isPassword) refuse(start, 'a password without quotes', 'settings name it: sops://FILE#/KEY');
  const plain = other.plain === undefined ? '' : `, or ${other.plain}`;
  refuse(start, `\`${source}\` is ${other.reading}`, `write ${quoted(source)} for the text${plain}`);
}

const quoted = (text: string): string => JSON.stringify(text);

/** Boolean in YAML 1.1, text in YAML 1.2. */
const oldBoolean = /^(?:y|n|yes|no|on|off)$/i;

/** `1_000`, `0b11`, `0o17`, `-0x1f`, `1.` */
const number =
  /^[-+]?(?:0b[01_]+|0o[0-7_]+|0x[\da-f_]+|\d[\d_]*(?:\.[\d_]*)?(?:e[-+]?\d+)?|\.\d[\d_]*(?:e[-+]?\d+)?)$/i;

/** A number to base 60, written like a time of day. */
const sexagesimal = /^[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.[\d_]*)?$/;

const date = /^\d{4}-\d\d?-\d\d?(?:[Tt\s].*)?$/;

/** Another interpretation of a scalar, and a form that all readers agree on, if any. */
type OtherReading = { readonly reading: string; readonly plain?: string };

/** How some readers interpret an unquoted scalar differently; undefined if none. `value` is YAML 1.2's. */
export function otherReading(source: string, value: unknown): OtherReading | undefined {
  switch (typeof value) {
    case 'number':
    case 'boolean': {
      const plain = String(value);
      // Not all readers take infinity, NaN and exponents for numbers.
      const isPlain = !/[a-z]/i.test(plain) || typeof value === 'boolean';
      if (plain === source && isPlain) return undefined;
      return { reading: `the ${typeof value} ${plain}`, ...(isPlain && { plain }) };
    }
    case 'string':
      return ofText(source);
    default:
      return undefined;
  }
}

function ofText(source: string): OtherReading | undefined {
  const some = (what: string): OtherReading => ({ reading: `${what} for some readers, a text for others` });
  if (oldBoolean.test(source)) {
    const plain = String(/^(?:y|yes|on)$/i.test(source));
    return { ...some(`the boolean ${plain}`), plain };
  }
  if (number.test(source) || sexagesimal.test(source)) return some('a number');
  return date.test(source) ? some('a date') : undefined;
}
