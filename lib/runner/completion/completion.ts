import { realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { argumentForm, checkArguments, specsOf } from '../arguments.ts';
import {
  type Call,
  type CommandLine,
  findOption,
  MissingValueError,
  optionSpecs,
  type Program,
  parseCommandLine,
  usageLine,
} from '../command-line.ts';
import { completionTask, graphLine } from '../own-tasks.ts';
import { quote } from '../shell.ts';
import type { AnyTask, ArgumentSpec, ArgumentValues, Options } from '../task.ts';

/**
 * Completions for the last of `words`, possibly empty. Returns `files`, `none`, or `words` and a line for each: the
 * word, a tab, its description. Words with another beginning are not filtered out.
 */
export async function candidates(words: readonly string[], known: Program): Promise<string> {
  const before = words.slice(0, -1);
  const typed = words.at(-1) ?? '';
  const { tasks, specs } = known;
  let line: CommandLine;
  try {
    const drawn = graphLine(before, known);
    if (drawn) return candidates([...drawn[0], typed], drawn[1]);
    line = parseCommandLine(before, known);
  } catch (error) {
    if (!(error instanceof MissingValueError) || before.includes('--')) return 'none\n';
    return values(error.spec, '');
  }
  const { options } = line;
  const { task, args = {} }: Partial<Call> = line.isOpen ? {} : (line.calls.at(-1) ?? {});
  const onlyWords = before.includes('--');
  if (onlyWords && task?.passThrough) return 'files\n';
  const own = optionSpecs(task?.args ?? {});
  const [, written] = /^(--[^=]*)=/.exec(typed) ?? [];
  if (written !== undefined && !onlyWords) {
    const found = findOption(written, own) ?? findOption(written, specs);
    return found === undefined || found.negated ? 'none\n' : values(found.spec, `${written}=`);
  }
  if (onlyWords || !typed.startsWith('-')) {
    if (task === undefined) return shown(tasks.filter((entry) => !entry.private).flatMap(names));
    const place = specsOf(task).find(
      ([name, spec]) => spec.positional && (spec.variadic || args[name] === undefined),
    );
    if (place !== undefined) return values(place[1], '');
    if (onlyWords) return 'none\n';
  }
  const left = Object.entries({ ...specs, ...own }).filter(
    ([name]) => (name in own ? args : options)[name] === undefined,
  );
  const isShort = /^-[^-]?$/.test(typed);
  return shown(
    left.flatMap(([name, spec]) => [
      [argumentForm(name, spec), spec.description] as const,
      ...(isShort && spec.short !== undefined ? [[`-${spec.short}`, spec.description] as const] : []),
    ]),
  );

  /** The values of an argument, after a prefix in the same word. */
  async function values(spec: ArgumentSpec, prefix: string): Promise<string> {
    const offers =
      spec.type === 'boolean' ? ['true', 'false'] : await offered(spec, await optionsOf(before, known));
    if (offers === undefined) return spec.type === 'number' ? 'none\n' : 'files\n';
    return shown(
      offers.filter((word) => /^\S+$/.test(word)).map((word) => [`${prefix}${word}`, ''] as const),
    );
  }
}

/** The words to offer for an argument; undefined if any is allowed or they cannot be read. */
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

function names({ name, aliases = [], description }: AnyTask): (readonly [string, string])[] {
  return [[name, description], ...aliases.map((alias) => [alias, `${description} (${name})`] as const)];
}

function shown(words: readonly (readonly [word: string, description: string])[]): string {
  const lines = words.map(([word, description]) => `${word}\t${description.replace(/\s+/g, ' ')}`);
  return ['words', ...lines].map((line) => `${line}\n`).join('');
}

/** The global options in the longest valid beginning of the unfinished line. */
async function optionsOf(line: readonly string[], known: Program): Promise<Options> {
  try {
    const { options, calls } = parseCommandLine(line, known);
    const checked = await checkArguments(known.specs, options, { options, usage: '' });
    const named = calls.map(({ task }) => task);
    return await (known.config.resolve?.(checked, named).catch(() => checked) ?? checked);
  } catch {
    return line.length === 0 ? {} : optionsOf(line.slice(0, -1), known);
  }
}

/** The output of `completion <shell>`: a script for this main file. Throws UsageError for an unknown shell. */
export async function completionAnswer(args: ArgumentValues, { program, config }: Program): Promise<string> {
  const usage = usageLine(completionTask, program);
  const checked = await checkArguments(completionTask.args ?? {}, args, { options: {}, usage });
  const { shell } = checked;
  const main = realpathSync(process.argv[1] ?? '');
  const [complete = '', own = ''] = await Promise.all(
    ['complete.sh', `script.${shell}`].map((name) => readFile(new URL(name, import.meta.url), 'utf8')),
  );
  const name = basename(main);
  // A launcher next to the program.
  const launcher = config.launcher && `./${config.launcher}`;
  const variables: readonly (readonly [string, string])[] = [
    ['_task_runner_main', main],
    ['_task_runner_launcher', launcher === undefined ? '' : `${config.launcher}:${name}`],
    // Comments would only slow each completion down.
    ['_task_runner_script', complete.replace(/^\s*#.*\n/gm, '').replace(/\n{2,}/g, '\n')],
  ];
  const assignments = variables.map(([variable, value]) =>
    shell === 'fish'
      ? `set -g ${variable} '${value.replace(/[\\']/g, '\\$&')}'`
      : `${variable}=${quote(value)}`,
  );
  const marked: { readonly [mark: string]: string } = {
    '@names@': [launcher, name].filter(Boolean).join(' and '),
    '@command@': `${launcher ?? program} completion ${shell}`,
    '@variables@': assignments.join('\n'),
  };
  return own.replace(/@(?:names|command|variables)@/g, (mark) => marked[mark] ?? '');
}
