import { shellWord } from './shell-words.ts';

/** The launcher as the user typed it: `./run`, or `../../run` from a subfolder, else npx. `run` sets the variable. */
export const launcher =
  process.env.TASKS_CALLED_AS === undefined ? 'npx tsx tasks.ts' : shellWord(process.env.TASKS_CALLED_AS);

/** A task as the user types it, for advice: `` `./run install-app app1` ``. */
export const taskCommand = (words: string): string => `\`${launcher} ${words}\``;
