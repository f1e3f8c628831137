import { argumentForm, checkArguments, isRequired, kebab, specsOf } from '../arguments.ts';
import type { Call, CommandLine, Program } from '../command-line.ts';
import { offered } from '../completion/candidates.ts';
import { TaskError, UsageError } from '../errors.ts';
import { taskForm } from '../list.ts';
import type { Terminal } from '../output/terminal.ts';
import { quote } from '../shell.ts';
import type { Stop } from '../stop.ts';
import type { AnyTask, ArgumentSpec, Options } from '../task.ts';
import { ask, Left, type View } from './ask.ts';

type Chooser = Program & { readonly terminal: Terminal; readonly stop: Stop };

/**
 * Completes a command line with `--choose` by asking for its task and missing required arguments. Prints the
 * equivalent command line and returns its words; undefined if the user leaves. Throws UsageError without a terminal.
 */
export async function choose(
  argv: readonly string[],
  { calls, options }: CommandLine,
  program: Chooser,
): Promise<readonly string[] | undefined> {
  const { terminal, stop } = program;
  if (calls.length > 1) throw new UsageError({ what: '`--choose` is for one task, and several are named' });
  if (!process.stdin.isTTY || !terminal.isTerminal) {
    throw new UsageError({
      what: '`--choose` needs a terminal',
      why: 'tasks are picked with the keys, and this is no terminal that can show them',
      advice: `name the task: \`${program.program} list\` shows all`,
    });
  }
  let words: readonly string[];
  try {
    const view = { columns: terminal.columns, signal: stop.signal };
    words = await completeLine(argv, { ...calls[0], options }, program, view);
  } catch (error) {
    if (error instanceof Left) return undefined;
    throw error;
  }
  terminal.err(`${terminal.style.dim('$')} ${[program.program, ...words.map(quote)].join(' ')}\n`);
  return words;
}

async function completeLine(
  argv: readonly string[],
  line: Partial<Call> & Pick<CommandLine, 'options'>,
  { tasks, specs, config }: Program,
  view: View,
): Promise<string[]> {
  const task = line.task ?? (await askTask(tasks, view));
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  const words = argv.slice(0, end).filter((word) => word !== '--choose' && word !== '--choose=true');
  if (line.task === undefined) words.push(task.name);
  const checked = await checkArguments(specs, line.options, { options: line.options, usage: '' });
  const missing = specsOf(task).filter(
    ([name, spec]) =>
      line.args?.[name] === undefined && isRequired(spec) && !(spec.env && process.env[spec.env]),
  );
  const options = missing.length > 0 ? ((await config.resolve?.(checked, [task])) ?? checked) : checked;
  const own: string[] = [];
  const places: string[] = [];
  for (const [name, spec] of missing) {
    // A positional that begins with a dash can be written after `--`.
    const answer = await askArgument(name, spec, options, view, !task.passThrough);
    if (spec.positional) places.push(answer);
    else own.push(`--${kebab(name)}=${answer}`);
  }
  const rest = argv.slice(end);
  const dashed = !task.passThrough && (rest.length > 0 || places.some((word) => word.startsWith('-')));
  return dashed
    ? [...words, ...own, '--', ...rest.slice(1), ...places]
    : [...words, ...places, ...own, ...rest];
}

async function askTask(tasks: readonly AnyTask[], view: View): Promise<AnyTask> {
  const items = tasks
    .filter((task) => !task.private)
    .map((task) => ({
      task,
      word: taskForm(task),
      text: [task.description, task.group, ...(task.aliases ?? [])].filter(Boolean).join(' · '),
    }));
  const answer = await ask({ title: 'task', items, free: false }, view);
  const found = items.find(({ word }) => word === answer);
  if (found === undefined) throw new Error(`no task \`${answer}\``);
  return found.task;
}

/** Asks for one value; of a list for its only one. */
async function askArgument(
  name: string,
  spec: ArgumentSpec,
  options: Options,
  view: View,
  dashes: boolean,
): Promise<string> {
  const known = await offered(spec, options);
  const items = (known ?? []).map((word) => ({ word, text: '' }));
  const title = `${argumentForm(name, spec)} (${spec.description})`;
  // Suggestions do not exclude other values; choices are checked even if they cannot be listed.
  const free = known === undefined || spec.choices === undefined;
  return await ask({ title, items, free, check }, view);

  async function check(word: string): Promise<string | undefined> {
    if (!dashes && spec.positional && word.startsWith('-') && word !== '-') return 'it cannot begin with -';
    try {
      const value = spec.variadic ? [word] : word;
      await checkArguments({ [name]: spec }, { [name]: value }, { options, usage: '' });
      return undefined;
    } catch (error) {
      if (error instanceof TaskError) return [error.what, error.why].filter(Boolean).join(': ');
      throw error;
    }
  }
}
