import { type Program, parseCommandLine } from './command-line.ts';
import { type AnyTask, type ArgumentSpec, task } from './task.ts';

/* Tasks that the runner itself answers, listed like all others. */

export const listTask: AnyTask = task({
  name: 'list',
  group: 'runner',
  description: 'show all tasks',
  commands: () => [],
});

const graphFormat = {
  type: 'choice',
  choices: ['mermaid', 'dot', 'json'],
  default: 'mermaid',
  description: 'how it is written',
} as const satisfies ArgumentSpec;

/** Accepts every argument and option of the task to draw. */
export const graphTask = task({
  name: 'graph',
  group: 'runner',
  description: 'draw what a task needs',
  args: {
    task: {
      type: 'string',
      positional: true,
      variadic: true,
      description: 'the task to draw, with its arguments',
    },
    format: graphFormat,
  },
  commands: () => [],
});

/** The words without `graph`, and a program for which they are those of the tasks to draw; undefined without it. */
export function graphLine(argv: readonly string[], known: Program): [string[], Program] | undefined {
  // Only the parser knows whether this word is a task or an option's value.
  const isTask = (word: string, index: number): boolean =>
    word === graphTask.name && parseCommandLine(argv.slice(0, index + 1), known).calls[0]?.task === graphTask;
  const place = argv.findIndex(isTask);
  if (place < 0) return undefined;
  return [argv.toSpliced(place, 1), { ...known, specs: { ...known.specs, format: graphFormat } }];
}

export const completionTask: AnyTask = task({
  name: 'completion',
  group: 'runner',
  description: 'print a completion script; its head says how to install it',
  args: {
    shell: {
      type: 'choice',
      positional: true,
      choices: ['bash', 'zsh', 'fish'],
      noun: 'shell',
      description: 'the shell',
    },
  },
  commands: () => [],
});

export const ownTasks: readonly AnyTask[] = [listTask, graphTask, completionTask];
