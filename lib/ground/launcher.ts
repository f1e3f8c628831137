import { shellWord } from './shell-words.ts';

/** How this run was started, as its user types it: `./run`, from below `../../run`, else by npx. `run` sets the variable. */
export const launcher =
  process.env.TASKS_CALLED_AS === undefined ? 'npx tsx tasks.ts' : shellWord(process.env.TASKS_CALLED_AS);

/** A task with its arguments as the user types it, for advice: `` `./run install-app app1` ``. */
export const taskCommand = (words: string): string => `\`${launcher} ${words}\``;
