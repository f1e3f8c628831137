export type Key =
  | { readonly name: 'up' | 'down' | 'page-up' | 'page-down' | 'home' | 'end' }
  | { readonly name: 'enter' | 'leave' | 'erase' | 'erase-word' | 'erase-all' | 'suspend' }
  | { readonly name: 'text'; readonly text: string };

/** What terminals send, as xterm(1) has it; the second forms are those of a keypad in application mode. */
const sequences: { readonly [sequence: string]: Key['name'] } = {
  '[A': 'up',
  OA: 'up',
  '[B': 'down',
  OB: 'down',
  '[5~': 'page-up',
  '[6~': 'page-down',
  '[H': 'home',
  OH: 'home',
  '[1~': 'home',
  '[F': 'end',
  OF: 'end',
  '[4~': 'end',
};

/** Control characters: `^P` and so on as in a shell; `^C` and `^D` leave, `^Z` suspends, `^M` and `^J` are Enter. */
const controls: { readonly [character: string]: Key['name'] } = {
  '\u0003': 'leave',
  '\u0004': 'leave',
  '\u0008': 'erase',
  '\u007F': 'erase',
  '\n': 'enter',
  '\r': 'enter',
  '\u000E': 'down',
  '\u0010': 'up',
  '\u0015': 'erase-all',
  '\u001A': 'suspend',
  '\u0017': 'erase-word',
  '\t': 'down',
};

/**
 * Takes what a terminal in raw mode sent apart. `rest` is the beginning of a key whose end has not come yet: Escape alone, or
 * the first part of a sequence; what is not known is dropped.
 */
export function decodeKeys(input: string): { readonly keys: readonly Key[]; readonly rest: string } {
  const keys: Key[] = [];
  let text = input;
  while (text !== '') {
    if (text[0] === '\u001B') {
      // Escape twice is Escape.
      if (text[1] === '\u001B') {
        keys.push({ name: 'leave' });
        text = text.slice(2);
        continue;
      }
      const [sequence] = /^(\[[0-9;?]*[ -/]*[@-~]|O[@-~]|[^[O])/s.exec(text.slice(1)) ?? [];
      if (sequence === undefined) return { keys, rest: text };
      const name = sequences[sequence];
      if (name !== undefined) keys.push({ name } as Key);
      text = text.slice(1 + sequence.length);
      continue;
    }
    const [character = ''] = text;
    const name = controls[character];
    if (name !== undefined) keys.push({ name } as Key);
    else if (!/\p{C}/u.test(character)) keys.push({ name: 'text', text: character });
    text = text.slice(character.length);
  }
  return { keys, rest: '' };
}
