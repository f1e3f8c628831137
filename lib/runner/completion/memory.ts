import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Answers, isCurrent, keep, memoryFolder, type Question } from '../quick-answer.ts';
import type { CliConfig } from '../run-cli.ts';
import { sourceStamps } from './sources.ts';

/** More than these are only kept for terminals of other widths; the oldest go. */
const maximumAnswers = 20;

/** Remembers an answer for `quickAnswer`. Where nothing can be kept, nothing is: the next process finds the answer anew. */
export async function rememberAnswer(
  { main, key }: Question,
  text: string,
  config: Pick<CliConfig, 'sources' | 'dotenv'>,
): Promise<void> {
  const sources = sourceStamps(config);
  const folder = memoryFolder(main);
  if (sources === undefined || folder === undefined) return;
  const before = await readAnswers(join(folder, 'answers.json'));
  const union = [...new Set([...(before?.sources ?? []), ...sources])];
  // Answers of one file are of the same sources; what another answer has loaded beside ours counts for both.
  const kept = before?.main === main && isCurrent(union) ? before.answers : {};
  const { [key]: _, ...older } = kept;
  const answers = Object.fromEntries([...Object.entries(older), [key, text] as const].slice(-maximumAnswers));
  const memory: Answers = { main, sources: kept === before?.answers ? union : sources, answers };
  await remember(folder, 'answers.json', `${JSON.stringify(memory)}\n`);
}

/** Keeps a file of the memory, and forgets what is of no use any more. Failing is no error. */
export async function remember(folder: string, name: string, text: string): Promise<void> {
  keep(folder, name, text);
  await forgetGone(dirname(folder)).catch(() => undefined);
}

/** Removes what is remembered of programs that are not there any more, so that nobody has to. */
async function forgetGone(memories: string): Promise<void> {
  for (const name of await readdir(memories)) {
    const folder = join(memories, name);
    const words = await readFile(join(folder, 'words'), 'utf8').catch(() => '');
    const [, main = (await readAnswers(join(folder, 'answers.json')))?.main] =
      /^main\t(.*)$/m.exec(words) ?? [];
    if (main !== undefined && !existsSync(main)) await rm(folder, { recursive: true, force: true });
  }
}

async function readAnswers(file: string): Promise<Answers | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Answers;
  } catch {
    return undefined;
  }
}
