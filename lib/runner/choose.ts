import type { Key } from 'node:readline';
import { argumentForm, checkArguments, isRequired, kebab, specsOf } from './arguments.ts';
import type { CommandLine, Program } from './command-line.ts';
import { offered } from './completion/completion.ts';
import { TaskError, UsageError } from './errors.ts';
import { taskForm } from './list.ts';
import type { Terminal } from './output/terminal.ts';
import { cutText } from './output/text.ts';
import { quote } from './shell.ts';
import type { Stop } from './stop.ts';
import { onSuspend } from './suspend.ts';
import type { AnyTask, ArgumentSpec, Options } from './task.ts';

type Chooser = Program & { readonly terminal: Terminal; readonly stop: Stop };

/**
 * Completes a command line with `--choose` by asking for its task and missing required arguments. Prints the
 * equivalent command line and returns its words; undefined if the user leaves. Throws UsageError without a terminal.
 */
export async function choose(
  argv: readonly string[],
  { calls, options }: CommandLine,
  chooser: Chooser,
): Promise<readonly string[] | undefined> {
  const { terminal, specs, config, program } = chooser;
  if (calls.length > 1) throw new UsageError({ what: '`--choose` is for one task, and several are named' });
  if (!process.stdin.isTTY || !terminal.isTerminal) {
    throw new UsageError({
      what: '`--choose` needs a terminal',
      why: 'tasks are picked with the keys, and this is no terminal that can show them',
      advice: `name the task: \`${program} list\` shows all`,
    });
  }
  const [call] = calls;
  const task = call?.task ?? (await askTask(chooser));
  if (task === undefined) return undefined;
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  const words = argv.slice(0, end).filter((word) => !/^--choose(=|$)/.test(word));
  if (call === undefined) words.push(task.name);
  const checked = await checkArguments(specs, options, { options, usage: '' });
  const missing = specsOf(task).filter(
    ([name, spec]) =>
      call?.args[name] === undefined && isRequired(spec) && !(spec.env && process.env[spec.env]),
  );
  const resolved = missing.length > 0 ? ((await config.resolve?.(checked, [task])) ?? checked) : checked;
  const own: string[] = [];
  const places: string[] = [];
  for (const [name, spec] of missing) {
    // A positional that begins with a dash can be written after `--`.
    const answer = await askArgument(name, spec, resolved, chooser, !task.passThrough);
    if (answer === undefined) return undefined;
    if (spec.positional) places.push(answer);
    else own.push(`--${kebab(name)}=${answer}`);
  }
  const rest = argv.slice(end);
  const dashed = !task.passThrough && (rest.length > 0 || places.some((word) => word.startsWith('-')));
  const line = dashed
    ? [...words, ...own, '--', ...rest.slice(1), ...places]
    : [...words, ...places, ...own, ...rest];
  terminal.err(`${terminal.style.dim('$')} ${[program, ...line.map(quote)].join(' ')}\n`);
  return line;
}

async function askTask(chooser: Chooser): Promise<AnyTask | undefined> {
  const items = chooser.tasks
    .filter((task) => !task.private)
    .map((task) => ({
      task,
      word: taskForm(task),
      text: [task.description, task.group, ...(task.aliases ?? [])].filter(Boolean).join(' · '),
    }));
  const answer = await ask({ title: 'task', items, free: false }, chooser);
  return items.find(({ word }) => word === answer)?.task;
}

/** Asks for one value; of a list for its only one. */
async function askArgument(
  name: string,
  spec: ArgumentSpec,
  options: Options,
  chooser: Chooser,
  dashes: boolean,
): Promise<string | undefined> {
  const known = await offered(spec, options);
  const items = (known ?? []).map((word) => ({ word, text: '' }));
  const title = `${argumentForm(name, spec)} (${spec.description})`;
  // Suggestions do not exclude other values; choices are checked even if they cannot be listed.
  const free = known === undefined || spec.choices === undefined;
  return await ask({ title, items, free, check }, chooser);

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

type Item = { readonly word: string; readonly text: string };

type Asked = {
  readonly title: string;
  /** Choices; empty if any text is allowed. */
  readonly items: readonly Item[];
  /** True if typed text is an answer too. */
  readonly free: boolean;
  /** Returns the problem of an answer; undefined if it is valid. */
  readonly check?: (answer: string) => Promise<string | undefined>;
};

const mostItems = 15;
/** Lines beside the items. */
const otherLines = 6;
const leaving = ['AbortPromptError', 'ExitPromptError'];

/** Lets the user choose an item or type an answer. Undefined if they leave or the signal comes. */
async function ask(asked: Asked, { terminal, stop: { signal } }: Chooser): Promise<string | undefined> {
  const { default: search } = await import('@inquirer/search');
  for (let typed = ''; ; ) {
    const over = new AbortController();
    let suspended = false;
    const leave = (): void => over.abort();
    const onKey = (_: unknown, key: Key): void => {
      if (key.name === 'escape' || (key.ctrl && key.name === 'd')) leave();
      if (!key.ctrl || key.name !== 'z') return;
      // Readline would stop only this process, not npx around it.
      key.name = 'none';
      suspended = true;
      leave();
    };
    process.stdin.prependListener('keypress', onKey).once('end', leave);
    try {
      return await search(
        {
          message: `${asked.title}:`,
          initialValue: typed,
          source: (term = '') => {
            typed = term;
            return choices(asked, term.trim(), terminal.columns() - 3);
          },
          validate: async (answer: string) => (await asked.check?.(answer)) ?? true,
          pageSize: Math.max(1, Math.min(mostItems, (process.stderr.rows || 24) - otherLines)),
          theme: {
            prefix: '',
            icon: { cursor: '>' },
            style: { keysHelpTip: () => 'arrows: select, Enter: take, Esc: leave' },
          },
        },
        {
          output: process.stderr,
          clearPromptOnDone: true,
          signal: AbortSignal.any([signal, over.signal]),
        },
      );
    } catch (error) {
      if (!leaving.includes((error as Error).name)) throw error;
      if (!suspended || signal.aborted) return undefined;
    } finally {
      process.stdin.removeListener('keypress', onKey).removeListener('end', leave);
    }
    await suspend();
  }
}

function choices({ items, free }: Asked, term: string, columns: number) {
  const width = Math.max(0, ...items.map(({ word }) => word.length));
  const found = matching(items, term);
  const own =
    free && term !== '' && !found.some(({ word }) => word === term) ? [{ word: term, text: '' }] : [];
  return [...own, ...found].map(({ word, text }) => ({
    value: word,
    name: text === '' ? word : cutText(`${word.padEnd(width)}  ${text}`, columns, '…'),
  }));
}

/** Stops our process group, as the terminal does outside raw mode; resolves when it continues. */
async function suspend(): Promise<void> {
  // Without this, nothing would keep the process running.
  process.stdin.resume();
  await new Promise<void>((resolve) => {
    const forget = onSuspend({
      hide: () => {},
      show: () => {
        forget();
        resolve();
      },
    });
    process.kill(0, 'SIGTSTP');
  });
}

/**
 * Items that contain every word of the filter, best first: at their beginning, at a word's beginning, elsewhere.
 * Equal ones keep their order.
 */
export function matching<Entry extends Item>(items: readonly Entry[], filter: string): Entry[] {
  const wanted = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const rankOf = ({ word, text }: Item, part: string): number => {
    const place = word.toLowerCase().indexOf(part);
    if (place >= 0) return Math.min(place, 1);
    return text.toLowerCase().includes(part) ? 2 : Number.POSITIVE_INFINITY;
  };
  return items
    .map((item) => ({ item, rank: Math.max(0, ...wanted.map((part) => rankOf(item, part))) }))
    .filter(({ rank }) => Number.isFinite(rank))
    .sort((left, right) => left.rank - right.rank)
    .map(({ item }) => item);
}
