import { type AnyTask, task } from '../task.ts';

/** Shown as a task like all others; the runner answers it itself. */
export const completionTask: AnyTask = task({
  name: 'completion',
  group: 'runner',
  description: 'prints a completion script; how to install it is in its head',
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
