import { UsageError } from './errors.ts';
import type { AnyTask, ArgumentSpec, ArgumentSpecs, ArgumentValues, Options, OptionValue } from './task.ts';

/** The arguments of a task by name. */
export function specsOf(task: AnyTask): [string, ArgumentSpec][] {
  return Object.entries<ArgumentSpec>(task.args ?? {});
}

/** An argument in usage lines and errors: `<app>`, `[path]`, `<name>…`, `--provider`. */
export function argumentForm(name: string, spec: ArgumentSpec): string {
  if (!spec.positional) return spec.default === true ? `--no-${kebab(name)}` : `--${kebab(name)}`;
  const shown = isRequired(spec) ? `<${kebab(name)}>` : `[${kebab(name)}]`;
  return spec.variadic ? `${shown}…` : shown;
}

/** An option with the placeholder of its value: `--report <path>`. */
export function optionForm(name: string, spec: ArgumentSpec): string {
  const form = argumentForm(name, spec);
  if (spec.type === 'boolean') return form;
  return `${form} <${spec.type === 'choice' ? kebab(name) : (spec.noun ?? spec.type)}>`;
}

/** `dryRun` becomes `--dry-run`. */
export function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

export function isRequired(spec: ArgumentSpec): boolean {
  return spec.default === undefined && !spec.optional && spec.type !== 'boolean';
}

/** The allowed values, if necessary read from their source. */
async function choicesOf(spec: ArgumentSpec, options: Options): Promise<readonly string[] | undefined> {
  return typeof spec.choices === 'function' ? await spec.choices(options) : spec.choices;
}

/**
 * Checks values against their specs and returns them typed, with environment variables and defaults. Accepts words of
 * the command line and values of needs. Throws UsageError with the advice `usage` if there is no better one.
 */
export async function checkArguments(
  specs: ArgumentSpecs,
  values: ArgumentValues,
  context: { readonly options: Options; readonly usage: string },
): Promise<Options> {
  for (const name of Object.keys(values)) {
    if (!(name in specs)) {
      const advice = didYouMean(name, Object.keys(specs), context.usage);
      throw new UsageError({ what: `unknown argument \`${name}\``, advice });
    }
  }
  const checked: { [name: string]: OptionValue } = {};
  for (const [name, spec] of Object.entries(specs)) {
    // An empty variable counts as unset: CI systems set missing values to the empty string.
    const value = values[name] ?? (process.env[spec.env ?? ''] || spec.default);
    if (value !== undefined && !(Array.isArray(value) && value.length === 0 && isRequired(spec))) {
      checked[name] = await checkValue(name, spec, value, context.options);
    } else if (isRequired(spec)) {
      throw new UsageError({
        what: `missing ${spec.positional ? 'argument' : 'option'} \`${argumentForm(name, spec)}\``,
        why: possible(await choicesOf(spec, context.options)) ?? spec.description,
        advice: context.usage,
      });
    } else {
      checked[name] = spec.variadic ? [] : spec.type === 'boolean' ? false : undefined;
    }
  }
  return checked;
}

async function checkValue(
  name: string,
  spec: ArgumentSpec,
  value: NonNullable<OptionValue>,
  options: Options,
): Promise<OptionValue> {
  if (spec.variadic) {
    const items = (typeof value === 'object' ? value : [value]).map(String);
    for (const item of items) await checkWord(name, spec, item, options);
    return items;
  }
  if (spec.type === 'number') {
    const number = typeof value === 'string' && value.trim() === '' ? Number.NaN : Number(value);
    const [from, to] = spec.range ?? [];
    const isInRange =
      from === undefined || (Number.isSafeInteger(number) && number >= from && !(number > Number(to)));
    if (Number.isFinite(number) && isInRange) return number;
    const whole = `a whole number from ${from} ${to === undefined ? 'up' : `to ${to}`}`;
    throw wrongType(name, spec, from === undefined ? 'a number' : whole, value);
  }
  if (spec.type === 'boolean') {
    if (value === true || value === 'true' || value === '1') return true;
    if (value === false || value === 'false' || value === '0') return false;
    throw wrongType(name, spec, '`true` or `false`', value);
  }
  if (typeof value === 'object') throw wrongType(name, spec, 'one word', value);
  await checkWord(name, spec, String(value), options);
  return String(value);
}

async function checkWord(name: string, spec: ArgumentSpec, word: string, options: Options): Promise<void> {
  // An unset variable of a script would name the current folder.
  if (spec.type === 'path' && word.trim() === '') throw wrongType(name, spec, 'a path', word);
  const choices = await choicesOf(spec, options);
  if (choices === undefined || choices.includes(word)) return;
  throw new UsageError({
    what: `unknown ${spec.noun ?? kebab(name)} \`${word}\`${source(spec, word)}`,
    why: possible(choices),
    advice: didYouMean(word, choices, `use one of these for \`${argumentForm(name, spec)}\``),
  });
}

/** The variable that a value comes from, for errors. */
const source = ({ env }: ArgumentSpec, value: unknown): string =>
  env !== undefined && process.env[env] === value ? ` (from ${env})` : '';

const possible = (choices: readonly string[] | undefined): string | undefined =>
  choices?.length === 0 ? 'there is none' : choices && `possible: ${choices.join(', ')}`;

function wrongType(name: string, spec: ArgumentSpec, expected: string, value: unknown): UsageError {
  const form = spec.positional ? argumentForm(name, spec) : `--${kebab(name)}`;
  const got = value === '' ? 'an empty text' : `\`${String(value)}\``;
  const from = source(spec, value);
  return new UsageError({
    what: `expected \`${form}\` to be ${expected}, got ${got}${from}`,
    advice: `use ${expected} for \`${from ? spec.env : form}\`: ${spec.description}`,
  });
}

/**
 * "Did you mean `x`?", the candidate that was probably meant, or `otherwise`. Tolerates a few wrong, missing, extra or
 * swapped letters, and the beginning of a single candidate.
 */
export function didYouMean(word: string, candidates: readonly string[], otherwise: string): string {
  const wanted = word.toLowerCase();
  const allowed = Math.max(1, Math.floor(wanted.length / 3));
  const [best] = candidates
    .map((name) => ({ name, distance: editDistance(wanted, name.toLowerCase()) }))
    .filter(({ distance }) => distance <= allowed)
    .sort((left, right) => left.distance - right.distance);
  const longer = wanted.length < 2 ? [] : candidates.filter((name) => name.toLowerCase().startsWith(wanted));
  const found = best?.name ?? (longer.length === 1 ? longer[0] : undefined);
  return found === undefined ? otherwise : `Did you mean \`${found}\`?`;
}

/** Number of insertions, deletions, replacements and swaps of neighbours. */
function editDistance(left: string, right: string): number {
  const distances: number[][] = [];
  const at = (row: number, column: number): number => distances[row]?.[column] ?? Number.POSITIVE_INFINITY;
  for (let row = 0; row <= left.length; row += 1) {
    distances.push([]);
    for (let column = 0; column <= right.length; column += 1) {
      const same = left[row - 1] === right[column - 1];
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      const cost = Math.min(
        at(row, column - 1) + 1,
        at(row - 1, column) + 1,
        at(row - 1, column - 1) + (same ? 0 : 1),
        swapped ? at(row - 2, column - 2) + 1 : Infinity,
      );
      distances[row]?.push(row + column === 0 ? 0 : cost);
    }
  }
  return at(left.length, right.length);
}
