import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { argumentForm, didYouMean, isRequired, kebab, optionForm, specsOf } from './arguments.ts';
import { UsageError } from './errors.ts';
import type { CliConfig } from './global-options.ts';
import type { AnyTask, ArgumentSpec, ArgumentSpecs, ArgumentValues, OptionValue } from './task.ts';

/** A task on the command line with unchecked arguments. */
export type Call = {
  readonly task: AnyTask;
  readonly args: ArgumentValues;
  /** Words after `--`, for a task that takes them. */
  readonly passThrough: readonly string[];
};

export type CommandLine = {
  /** Unchecked global options, which apply to the whole line. */
  readonly options: ArgumentValues;
  readonly calls: readonly Call[];
  /** True if the last part names no task: the line is empty, has only options, or ends with `,`. */
  readonly isOpen: boolean;
};

export const nextTask = ',';

type Values = { [name: string]: OptionValue };

/** A program of tasks, as its command line is read, completed and explained. */
export type Program = {
  readonly tasks: readonly AnyTask[];
  /** Global options. */
  readonly specs: ArgumentSpecs;
  /** The name in usage lines. */
  readonly program: string;
  readonly config: CliConfig;
};

/** The command line ends where an option needs a value. */
export class MissingValueError extends UsageError {
  readonly spec: ArgumentSpec;

  /** `mark`: the `--` or `,` found instead. */
  constructor(written: string, spec: ArgumentSpec, mark: string | undefined) {
    const literally = mark === undefined ? '' : `, or \`${written}=${mark}\` for \`${mark}\``;
    const value = spec.type === 'number' ? 'NUMBER' : 'VALUE';
    super({
      what: `option \`${written}\` needs a value`,
      advice: `write \`${written}=${value}\`${literally}: ${spec.description}`,
    });
    this.spec = spec;
  }
}

/**
 * Parses the command line. Global options may stand anywhere before `--`, a task's own after its name. `,` begins the
 * next task. `--` ends the options: the rest goes to the last task, as pass-through words or else as positional
 * arguments. With `privateToo`, private tasks are accepted, which are only shown. Throws UsageError for an unknown task
 * or option, a missing value or an extra word.
 */
export function parseCommandLine(argv: readonly string[], known: Program, privateToo = false): CommandLine {
  const options: Values = {};
  const calls: Call[] = [];
  let args: Values = {};
  let words: string[] = [];
  let task: AnyTask | undefined;
  let index = 0;

  for (; index < argv.length && argv[index] !== '--'; index += 1) {
    const word = argv[index] ?? '';
    if (word === nextTask) {
      endCall([]);
      continue;
    }
    if (!isOption(word, known.specs, task)) {
      if (task === undefined) task = findTask(word, known, privateToo);
      else words.push(word);
      continue;
    }
    const [, written = '', given] = /^([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (!written.startsWith('--') && written.length > 2) {
      // `-vn` is `-v -n`, `-j4` is `-j 4`. There is no option `-`: the rest of `-v-` would end the options.
      const flag = find(written.slice(0, 2)).spec.type === 'boolean';
      if (flag && word[2] === '-') throw unknownOption(written);
      const rest = flag ? `-${word.slice(2)}` : word.slice(2);
      argv = [...argv.slice(0, index), written.slice(0, 2), rest, ...argv.slice(index + 1)];
      index -= 1;
      continue;
    }
    const found = find(written);
    if (found.spec.type === 'boolean') {
      if (found.negated && given !== undefined) {
        const advice = `\`${written}\`, or \`--${kebab(found.name)}=${given}\``;
        throw new UsageError({ what: `option \`${written}\` takes no value`, advice });
      }
      found.values[found.name] = given === undefined ? !found.negated : given;
      continue;
    }
    if (given === undefined) index += 1;
    const next = given ?? argv[index];
    if (next === undefined || (given === undefined && (next === '--' || next === nextTask))) {
      throw new MissingValueError(written, found.spec, next);
    }
    found.values[found.name] = meant(next, found.spec, known);
  }
  const rest = argv.slice(index + 1);
  if (task === undefined && rest.length > 0) task = findTask(rest.shift() ?? '', known, privateToo);
  const isOpen = task === undefined;
  if (!isOpen) endCall(rest);
  return { options, calls, isOpen };

  function endCall(rest: readonly string[]): void {
    if (task === undefined) {
      throw new UsageError({
        what: `there is no task before \`${nextTask}\``,
        why: 'it begins the next task',
        advice: `write \`${known.program} <task> ${nextTask} <task>\``,
      });
    }
    const passesOn = task.passThrough === true;
    assignWords(task, passesOn ? words : [...words, ...rest], args, known);
    calls.push({ task, args, passThrough: passesOn ? rest : [] });
    task = undefined;
    args = {};
    words = [];
  }

  function find(written: string) {
    const own = findOption(written, optionSpecs(task?.args ?? {}));
    const found = own ?? findOption(written, known.specs);
    if (found === undefined) throw unknownOption(written);
    return { ...found, values: own ? args : options };
  }

  function unknownOption(written: string): UsageError {
    const specs = { ...optionSpecs(task?.args ?? {}), ...known.specs };
    const forms = Object.entries(specs).map(([name, spec]) => argumentForm(name, spec));
    const owner = task === undefined ? '' : ` of task \`${task.name}\``;
    const help = `${known.program}${task === undefined ? '' : ` ${task.name}`} --help`;
    // It then accepts any word that begins with a dash.
    const takesWords = task && !task.passThrough && specsOf(task).some(([, spec]) => spec.positional);
    const asWord = takesWords ? '; as an argument, write it after `--`' : '';
    return new UsageError({
      what: `unknown option \`${written}\`${owner}`,
      advice: didYouMean(written, forms, help + asWord),
    });
  }
}

/** The tasks of a command line, at least one. Throws UsageError if it ends with `,`. */
export function requestedTasks({ calls, isOpen }: CommandLine): readonly Call[] {
  if (!isOpen) return calls;
  throw new UsageError({
    what: `there is no task after the last \`${nextTask}\``,
    advice: 'name one, or leave it out',
  });
}

/** `npx tsx tasks.ts install-app <app> [--timeout <number>] [-- …]` */
export function usageLine(task: AnyTask, program: string): string {
  const parts = specsOf(task).map(([name, spec]) => {
    if (spec.positional) return argumentForm(name, spec);
    const full = optionForm(name, spec);
    return isRequired(spec) ? full : `[${full}]`;
  });
  return ['usage:', program, task.name, ...parts, ...(task.passThrough ? ['[-- …]'] : [])].join(' ');
}

function findTask(word: string, known: Program, privateToo: boolean): AnyTask {
  const callable = known.tasks.filter((task) => !task.private || privateToo);
  const found = callable.find((task) => isCalled(task, word));
  if (found !== undefined) return found;
  const names = callable.flatMap((task) => [task.name, ...(task.aliases ?? [])]);
  throw new UsageError({
    what: `unknown task \`${word}\``,
    advice: didYouMean(word, names, `\`${known.program} list\` shows all tasks`),
  });
}

function isCalled(task: AnyTask, word: string): boolean {
  return task.name === word || task.aliases?.includes(word) === true;
}

function assignWords(task: AnyTask, words: readonly string[], args: Values, known: Program): void {
  const rest = [...words];
  for (const [name, spec] of specsOf(task)) {
    if (!spec.positional || rest.length === 0) continue;
    const taken = rest.splice(0, spec.variadic ? rest.length : 1).map((word) => meant(word, spec, known));
    args[name] = spec.variadic ? taken : taken[0];
  }
  const [unexpected] = rest;
  if (unexpected === undefined) return;
  throw new UsageError({
    what: `unexpected argument \`${unexpected}\` for task \`${task.name}\``,
    advice: known.tasks.some((other) => isCalled(other, unexpected))
      ? `to run that task next, write \`${nextTask} ${unexpected}\``
      : usageLine(task, known.program),
  });
}

/** A path as the user means it; other words as they are. */
function meant(word: string, { type }: ArgumentSpec, { config }: Program): string {
  const { calledIn = process.cwd() } = config;
  if (type !== 'path' || word === '') return word;
  if (word.startsWith('~/')) return join(homedir(), word.slice(2));
  return calledIn === process.cwd() ? word : resolve(calledIn, word);
}

export function optionSpecs(specs: ArgumentSpecs): ArgumentSpecs {
  return Object.fromEntries(Object.entries(specs).filter(([, spec]) => !spec.positional));
}

/** The option with this spelling: `--env`, `-e`, `--no-wait`. */
export function findOption(written: string, specs: ArgumentSpecs) {
  const all = Object.entries(specs);
  const plain = all.find(([name, { short }]) => written === `--${kebab(name)}` || written === `-${short}`);
  // For every flag, whatever its default: the environment or a shell alias may set it.
  const negated = all.find(([name, { type }]) => type === 'boolean' && written === `--no-${kebab(name)}`);
  const found = plain ?? negated;
  return found && { name: found[0], spec: found[1], negated: plain === undefined };
}

/** A lone `-` and negative numbers are words. */
function isOption(word: string, globals: ArgumentSpecs, task: AnyTask | undefined): boolean {
  if (!word.startsWith('-') || word === '-') return false;
  if (!/^-\.?\d/.test(word)) return true;
  return Object.values<ArgumentSpec>({ ...globals, ...task?.args }).some((spec) => spec.short === word[1]);
}
