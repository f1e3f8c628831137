/*
 * The format of a `.env` file. The package dotenv, which sets the variables, reads another one: in it `PASSWORD=ab#cd` is `ab`, nothing
 * is filled in, and lines that it cannot read are dropped.
 */

const assignment = /[^\S\n]*(?:export[^\S\n]+)?([\w.-]+)[^\S\n]*=/y;
/** Also what may follow a closing quote. */
const emptyLine = /[^\S\n]*(?:(?<!\S)#[^\n]*)?(?:\n|$)/y;
const singleQuoted = /[^\S\n]*'([^']*)'/y;
const doubleQuoted = /[^\S\n]*"((?:[^"\\]|\\[\s\S])*)"/y;
const quote = /[^\S\n]*['"]/y;
const unquoted = /[^\n]*/y;

const reference =
  /\\([nr"\\$])|\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?-)((?:\$?\{[^{}]*\}|[^{}])*))?\})|(\$\{)/g;

/**
 * The variables of a `.env` file, by the rules of dotenvy (just) and godotenv (go-task) where these agree, else by those of a
 * shell. A `#` begins a comment at the start of a line and after a blank. `$NAME`, `${NAME}` and `${NAME:-default}` are filled
 * in by what `environment` has, then by the lines above; `\$` is a dollar. Single quotes take everything as it is; double quotes
 * know `\n`, `\r`, `\"`, `\\` and `\$`; both may span lines. The last of several lines for a variable counts. Throws Error with
 * the place; never with what stands there, which may be a secret.
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
