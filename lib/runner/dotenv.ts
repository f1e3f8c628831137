import { readFile } from 'node:fs/promises';
import { TaskError } from './errors.ts';

/**
 * Sets the variables of a `.env` file that are not set yet: the command line overrides the environment, the
 * environment overrides the file, and the file overrides defaults. A missing file is fine. Throws TaskError if it is
 * unreadable or invalid.
 */
export async function readDotenv(file: string): Promise<void> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw unreadable(file, error.message, 'make it a file that you can read, or remove it');
  });
  if (bytes === undefined) return;
  let variables: Map<string, string>;
  try {
    variables = parseDotenv(textOf(bytes), process.env);
  } catch (error) {
    throw unreadable(file, (error as Error).message, 'fix it and run again');
  }
  const { populate } = await import('dotenv');
  populate(process.env as { [name: string]: string }, Object.fromEntries(variables));
}

/** The text without its byte order mark. Refuses other encodings, which would silently change a password. */
function textOf(bytes: Buffer): string {
  try {
    if (!bytes.includes(0)) return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    // Reported below.
  }
  throw new Error('it is not text in UTF-8');
}

function unreadable(file: string, why: string, advice: string): TaskError {
  return new TaskError({ what: `cannot read ${file}`, why, advice });
}

/*
 * Parses a `.env` file. The package dotenv reads another format: in it `PASSWORD=ab#cd` is `ab`, nothing is
 * substituted, and unreadable lines are dropped.
 */

const assignment = /[^\S\n]*(?:export[^\S\n]+)?([\w.-]+)[^\S\n]*=/y;
/** Also allowed after a closing quote. */
const emptyLine = /[^\S\n]*(?:(?<!\S)#[^\n]*)?(?:\n|$)/y;
const singleQuoted = /[^\S\n]*'([^']*)'/y;
const doubleQuoted = /[^\S\n]*"((?:[^"\\]|\\[\s\S])*)"/y;
const quote = /[^\S\n]*['"]/y;
const unquoted = /[^\n]*/y;

const reference =
  /\\([nr"\\$])|\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?-)((?:\$?\{[^{}]*\}|[^{}])*))?\})|(\$\{)/g;

/**
 * Variables of a `.env` file, by the rules of dotenvy (just) and godotenv (go-task) where they agree, otherwise by a
 * shell's. `#` begins a comment at the start of a line or after a blank. `$NAME`, `${NAME}` and `${NAME:-default}`
 * are looked up in `environment`, then in the lines above; `\$` is a dollar. Single quotes are literal; double
 * quotes know `\n`, `\r`, `\"`, `\\` and `\$`; both may span lines. The last line of a variable wins. Throws Error
 * with the place, never with the text, which may be a secret.
 */
export function parseDotenv(
  content: string,
  environment: { readonly [name: string]: string | undefined },
): Map<string, string> {
  const text = content.replace(/\r\n?/g, '\n');
  const variables = new Map<string, string>();
  let place = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = place;
    const found = pattern.exec(text);
    if (found !== null) place = pattern.lastIndex;
    return found;
  };
  while (place < text.length) {
    if (take(emptyLine) !== null) continue;
    const start = place;
    const [, name] = take(assignment) ?? [];
    if (name === undefined) throw wrong(start, 'is not NAME=value');
    variables.set(name, valueFrom(start));
  }
  return variables;

  function wrong(start: number, how: string): Error {
    return new Error(`line ${text.slice(0, start).split('\n').length} ${how}`);
  }

  function valueFrom(start: number): string {
    const [, literal] = take(singleQuoted) ?? [];
    const [, quoted] = literal === undefined ? (take(doubleQuoted) ?? []) : [];
    const value = literal ?? (quoted === undefined ? undefined : fillIn(quoted, start, true));
    if (value !== undefined) {
      if (take(emptyLine) === null) throw wrong(start, 'goes on after the closing quote');
      return value;
    }
    if (take(quote) !== null) throw wrong(start, 'has a quote that is never closed');
    const [rest = ''] = take(unquoted) ?? [];
    return fillIn(rest.replace(/\s#[\s\S]*/, '').trim(), start, false);
  }

  function fillIn(value: string, start: number, escapes: boolean): string {
    return value.replace(reference, (all, escaped, bare, braced, operator, otherwise, broken) => {
      if (broken) throw wrong(start, `has a \`\${\` that is neither \${NAME} nor \${NAME:-default}`);
      if (escaped !== undefined) return escapes || escaped === '$' ? (controls[escaped] ?? escaped) : all;
      const name = bare ?? braced;
      const found = Object.hasOwn(environment, name) ? environment[name] : variables.get(name);
      const missing = operator === ':-' ? !found : found === undefined;
      return operator && missing ? fillIn(otherwise, start, escapes) : (found ?? '');
    });
  }
}

const controls: { readonly [letter: string]: string } = { n: '\n', r: '\r' };
