import { checkArguments, specsOf } from '../arguments.ts';
import { parseCommandLine } from '../command-line.ts';
import { mainFile, memoryFolder } from '../quick-answer.ts';
import type { CliConfig } from '../run-cli.ts';
import type { AnyTask, ArgumentSpec, ArgumentSpecs, Options } from '../task.ts';
import { remember } from './memory.ts';
import { sourceStamps } from './sources.ts';
import { offered, wordList } from './word-list.ts';

/** What a run knows of its program. */
export type Program = {
  readonly tasks: readonly AnyTask[];
  readonly specs: ArgumentSpecs;
  readonly program: string;
  readonly config: CliConfig;
};

/**
 * What a completion script asks. Without further words: all that can be completed, which is also remembered, so that the next
 * time no Node is started. With `<task> <argument> <beginning> <words…>`: the values of one argument that only the task knows.
 */
export async function answerShell(words: readonly string[], known: Program): Promise<string> {
  if (words.length === 0) return rememberWords(known);
  const [taskName = '', argument = '', before = '', ...line] = words;
  const task = known.tasks.find(({ name }) => name === taskName);
  const spec = new Map<string, ArgumentSpec>([
    ...Object.entries(known.specs),
    ...(task === undefined ? [] : specsOf(task)),
  ]).get(argument);
  const values = spec && (await offered(spec, await optionsOf(line.slice(0, -1), known)));
  if (values === undefined) return 'none\n';
  return ['words', ...values.map((value) => `${before}${value}\t`)].map((text) => `${text}\n`).join('');
}

/** Makes the list of all words, remembers and returns it. */
export async function rememberWords({ tasks, specs, config }: Program): Promise<string> {
  const words = await wordList(tasks, specs);
  const main = mainFile() ?? '';
  const stamps = sourceStamps(config) ?? [];
  const lines = [`main\t${main}`, ...stamps.map((stamp) => `source\t${stamp}`), ...words];
  const text = lines.map((line) => `${line}\n`).join('');
  const folder = memoryFolder(main);
  if (folder !== undefined && stamps.length > 0) await remember(folder, 'words', text);
  return text;
}

/** The global options as far as they are written already: of a line that is not finished, the longest part that is right. */
async function optionsOf(
  line: readonly string[],
  { tasks, specs, program, config }: Program,
): Promise<Options> {
  try {
    const { options } = parseCommandLine(line, { tasks, options: specs, program });
    const checked = await checkArguments(specs, options, { options, usage: '' });
    return await (config.resolve?.(checked).catch(() => checked) ?? checked);
  } catch {
    return line.length === 0 ? {} : optionsOf(line.slice(0, -1), { tasks, specs, program, config });
  }
}
