import { type AnyTask, type ArgumentSpec, task } from './task.ts';

/* Tasks that the runner itself answers, listed like all others. */

export const listTask: AnyTask = task({
  name: 'list',
  group: 'runner',
  description: 'show all tasks',
  commands: () => [],
});

export const graphFormat = {
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
