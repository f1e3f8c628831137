/** One word for any POSIX shell; zx's own form (`$'…'`) is only understood by bash. */
export function quote(text: string): string {
  return /^[\w/.:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Throws for a value that is `undefined` or `null`: zx would write that word into the command. */
export function checkValues(pieces: readonly string[], values: readonly unknown[]): void {
  for (const [index, value] of values.entries()) {
    const items: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (items.some((item) => item === undefined || item === null)) {
      const before = pieces.slice(0, index + 1).join('…');
      throw new Error(`expected a value after \`${before}\`, got \`${String(value)}\``);
    }
  }
}

/** The command as zx would write it: each value is one quoted word, a list several. Undefined while a value is a promise. */
export function commandText(pieces: readonly string[], values: readonly unknown[]): string | undefined {
  let text = pieces[0] ?? '';
  for (const [index, value] of values.entries()) {
    const items: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (isPromise(value) || items.some(isPromise)) return undefined;
    text += items.map((item) => quote(asText(item))).join(' ') + (pieces[index + 1] ?? '');
  }
  return text;
}

/** The output of another command stands for what it printed, as in `$(…)`. */
function asText(value: unknown): string {
  const { stdout } = value as { readonly stdout?: unknown };
  return typeof stdout === 'string' ? stdout.replace(/\n$/, '') : String(value);
}

function isPromise(value: unknown): boolean {
  return typeof (value as { readonly then?: unknown } | undefined)?.then === 'function';
}

/** What bash or sh runs by itself, or reads as its own grammar, when it stands first. `true` and `false`: see below. */
const ownWords = new Set(
  (
    '. : [ alias bg bind break builtin caller case cd command compgen complete compopt continue coproc declare dirs ' +
    'disown do done echo elif else enable esac eval exec exit export fc fg fi for function getopts hash help history if ' +
    'in jobs kill let local logout mapfile popd printf pushd pwd read readarray readonly return select set shift shopt ' +
    'source suspend test then time times trap type typeset ulimit umask unalias unset until wait while'
  ).split(' '),
);

/** A word without anything that a shell would expand or act on, quoted or not. */
const nextWord = /[ \t]*((?:[\w/.:=@%+,-]|'[^'\0]*'|"[^"$`\\!\0]*"|\\[^\n\0])+)/y;

/**
 * The words of a command that needs no shell: one program with plain or quoted words, nothing to expand, redirect or
 * combine. Undefined when it takes a shell to run it in the same way.
 */
export function plainWords(text: string): [string, ...string[]] | undefined {
  const command = text.replace(/^[ \t\n]+|[ \t\n]+$/g, '');
  const words: string[] = [];
  nextWord.lastIndex = 0;
  while (nextWord.lastIndex < command.length) {
    const [, word] = nextWord.exec(command) ?? [];
    if (word === undefined) return undefined;
    words.push(word);
  }
  // With `exec` the shell looks for a program only; options are its own.
  const program = words[0] === 'exec' && words.length > 1;
  if (program) words.shift();
  const [first = '', ...rest] = words.map(unquote);
  // An assignment (`A=b program`), a job (`%1`), an option of `exec`, or no name at all.
  if (first === '' || words[0]?.includes('=') || /^[%-]/.test(first)) return undefined;
  if (!program && ownWords.has(first)) return undefined;
  // Built in as well, but the programs do the same as long as they get no words to understand.
  if (!program && (first === 'true' || first === 'false') && rest.length > 0) return undefined;
  return [first, ...rest];
}

function unquote(word: string): string {
  return word.replace(
    /'([^']*)'|"([^"]*)"|\\([^\n])/g,
    (_, single, double, escaped) => single ?? double ?? escaped,
  );
}
