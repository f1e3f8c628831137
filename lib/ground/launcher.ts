import { join, relative } from 'node:path';
import { root } from './project.ts';
import { shellWord, shellWords } from './shell-words.ts';

const { TASKS_CALLED_AS: calledAs, TASKS_CALLED_IN: calledIn = root } = process.env;

/** The launcher as typed: `./run`, or `../../run` from a subfolder, or npx. `run` sets the variables. */
export const launcher =
  calledAs === undefined
    ? `npx tsx ${shellWord(relative(calledIn, join(root, 'tasks.ts')))}`
    : shellWord(calledAs);

export const defaultEnvironment = 'development';

/** How an environment was chosen to be created, while no record says so. */
type Choice = { readonly provider?: string | undefined; readonly context?: string | undefined };

/** The options that lead a task to an environment; none for the default one. */
function optionsFor(environment: string, choice: Choice = {}): string {
  // With ENVIRONMENT set, another one is the default.
  const named = environment !== defaultEnvironment || process.env.ENVIRONMENT;
  const given = { env: named ? environment : undefined, ...choice };
  return Object.entries(given)
    .flatMap(([name, value]) => (value === undefined ? [] : [` ${shellWords([`--${name}`, value])}`]))
    .join('');
}

let options = '';

/** From now on, advice leads to this environment. A run has only one. */
export function adviseOn(environment: string, choice?: Choice): void {
  options = optionsFor(environment, choice);
}

/** A command line that runs a task, by default on the run's environment: `./run install-app app1 --env staging`. */
export const taskLine = (words: string, environment?: string): string =>
  `${launcher} ${words}${environment === undefined ? options : optionsFor(environment)}`;

/** The same for a sentence, in backticks. */
export const taskCommand = (words: string, environment?: string): string =>
  `\`${taskLine(words, environment)}\``;
