import { shellWord } from './shell-words.ts';

/** The launcher as typed: `./run`, or `../../run` from a subfolder, or npx. `run` sets the variable. */
export const launcher =
  process.env.TASKS_CALLED_AS === undefined ? 'npx tsx tasks.ts' : shellWord(process.env.TASKS_CALLED_AS);

/** A command line for advice: `` `./run install-app app1` ``. */
export const taskCommand = (words: string): string => `\`${launcher} ${words}\``;
