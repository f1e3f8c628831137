import { isUtf8 } from 'node:buffer';
import { constants, readFile, stat } from 'node:fs/promises';
import { TaskError } from './errors.ts';

/**
 * Sets the variables of a `.env` file that are not set yet: the command line overrides the environment, the
 * environment overrides the file, and the file overrides defaults. A missing file is fine. Throws TaskError if it is
 * unreadable or invalid.
 */
export async function readDotenv(file: string): Promise<void> {
  let variables: Map<string, string>;
  try {
    const bytes = (await stat(file)).isFIFO() ? await readPipe(file) : await readFile(file);
    variables = parseDotenv(textOf(bytes), process.env);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    const advice = 'make it a file of `NAME=value` lines that you can read, or remove it';
    throw new TaskError({ what: `cannot read ${file}`, why: message, advice });
  }
  const { populate } = await import('dotenv');
  populate(process.env as { [name: string]: string }, Object.fromEntries(variables));
}

/** Of a secret manager's pipe; `readFile` would wait for its writer in a thread that even `process.exit` waits for. */
async function readPipe(file: string): Promise<Buffer> {
  // Each start is spared these modules.
  const [{ openSync }, { Socket }] = [await import('node:fs'), await import('node:net')];
  const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  return Buffer.concat(await new Socket({ fd }).toArray());
}

/** The text without its byte order mark. Refuses other encodings, which would silently change a password. */
function textOf(bytes: Buffer): string {
  if (bytes.includes(0) || !isUtf8(bytes)) throw new Error('it is not text in UTF-8');
  return new TextDecoder().decode(bytes);
}

/*
 * Parses a `.env` file. The package dotenv reads another format: in it `PASSWORD=ab#cd` is `ab`, nothing is
 * substituted, and unreadable lines are dropped. dotenv-expand substitutes in single quotes, too, and again in
 * what it has filled in.
 */

const name = /[^\S\n]*(?:export[^\S\n]+)?([\w.-]+)[^\S\n]*=[^\S\n]*/.source;
const value = /'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|(?![^\S\n]*['"])([^\n]*?)/.source;
/** Also allowed after a closing quote. */
const comment = /[^\S\n]*(?:(?<!\S)#[^\n]*)?(?:\n|$)/.source;
const statement = new RegExp(`(?:${name}(?:${value}))?${comment}`, 'y');

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
  for (let start = 0; start < text.length; start = statement.lastIndex) {
    statement.lastIndex = start;
    const wrong = (how: string) => new Error(`line ${text.slice(0, start).split('\n').length} ${how}`);
    const found = statement.exec(text);
    if (found === null) throw wrong('is not NAME=value, or its closing quote is missing or not at the end');
    const [, name, literal, quoted, bare = ''] = found;
    const fillIn = (value: string): string =>
      value.replace(reference, (all, escaped, plain, braced, operator, otherwise, broken) => {
        if (broken) throw wrong(`has a \`\${\` that is neither \${NAME} nor \${NAME:-default}`);
        if (escaped !== undefined)
          return quoted !== undefined || escaped === '$' ? (controls[escaped] ?? escaped) : all;
        const key = plain ?? braced;
        const known = Object.hasOwn(environment, key) ? environment[key] : variables.get(key);
        const missing = operator === ':-' ? !known : known === undefined;
        return operator && missing ? fillIn(otherwise) : (known ?? '');
      });
    if (name !== undefined) variables.set(name, literal ?? fillIn(quoted ?? bare));
  }
  return variables;
}

const controls: { readonly [letter: string]: string } = { n: '\n', r: '\r' };
