import { kebab, specsOf } from '../arguments.ts';
import type { AnyTask, ArgumentSpec, ArgumentSpecs, Options } from '../task.ts';

/** What may stand for a value: a list of the words by its number, or one of these. */
type Values = number | 'ask' | 'files' | 'none';

/**
 * All that can be completed, as lines for `candidates.awk`, which says what the fields are. Choices that are read from
 * somewhere are read now; a function that takes the options has to be asked each time.
 */
export async function wordList(tasks: readonly AnyTask[], options: ArgumentSpecs): Promise<string[]> {
  const lines: string[] = [];
  const lists = new Map<string, number>();
  const add = (...fields: readonly (string | number)[]): void => {
    lines.push(fields.map((field) => String(field).replace(/\s+/g, ' ')).join('\t'));
  };
  const addOption = async (owner: string, name: string, spec: ArgumentSpec): Promise<void> => {
    const kind = spec.type === 'boolean' ? 'flag' : spec.type === 'list' ? 'list' : 'value';
    const short = spec.short === undefined ? '' : `-${spec.short}`;
    const values = kind === 'flag' ? 'none' : await valuesOf(spec);
    const negated = spec.type === 'boolean' && spec.default === true;
    add(
      'option',
      owner,
      `--${negated ? 'no-' : ''}${kebab(name)}`,
      short,
      kind,
      values,
      name,
      spec.description,
    );
  };
  const valuesOf = async (spec: ArgumentSpec): Promise<Values> => {
    const source = spec.choices ?? spec.suggestions;
    if (typeof source === 'function' && source.length > 0) return 'ask';
    const words = spec.type === 'boolean' ? ['true', 'false'] : await offered(spec);
    if (words === undefined) return spec.type === 'number' ? 'none' : 'files';
    const key = words.join('\n');
    const known = lists.get(key) ?? lists.size + 1;
    if (!lists.has(key)) for (const word of words) if (/^\S+$/.test(word)) add('word', known, word);
    lists.set(key, known);
    return known;
  };

  for (const [name, spec] of Object.entries(options)) await addOption('', name, spec);
  for (const task of tasks.filter((entry) => !entry.private)) {
    const { name, description, aliases = [] } = task;
    const passThrough = task.passThrough ? 1 : 0;
    add('task', name, name, description, passThrough);
    for (const alias of aliases) add('task', alias, name, `${description} (${name})`, passThrough);
    for (const [argument, spec] of specsOf(task)) {
      if (!spec.positional) await addOption(name, argument, spec);
      else add('place', name, spec.variadic ? 1 : 0, await valuesOf(spec), argument);
    }
  }
  return lines;
}

/** The words to offer for an argument; undefined when any will do, or when they cannot be read at the moment. */
export async function offered(
  spec: ArgumentSpec,
  options: Options = {},
): Promise<readonly string[] | undefined> {
  const words = spec.choices ?? spec.suggestions;
  try {
    return typeof words === 'function' ? await words(options) : words;
  } catch {
    return undefined;
  }
}
