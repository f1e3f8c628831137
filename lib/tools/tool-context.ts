import { reasonIn, type Share, type TaskContext } from '@k8s-deployment/runner';
import type { PinnedTool } from './manifest.ts';

/** The part of a task's context needed to install a tool. */
export type ToolContext = Pick<TaskContext, '$' | 'signal' | 'log' | 'progress'>;

/** The context of one attempt, which puts the tool into an empty folder. */
export type Making<Entry = PinnedTool> = ToolContext & { readonly entry: Entry; readonly folder: string };

/** Why a tool could not be got, with advice. */
export type Failure = { readonly reason: string; readonly advice?: string | undefined };

/** The result of an attempt to get a tool. */
export type WayResult = { readonly program: string } | Failure;

/** A line of a failed program's output: the first about an error, else the last. */
export function lastWords(output: string): string {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^(npm notice|at |# )/.test(line));
  const about = lines.filter((line) => /\berror\b|fatal|no space|cannot|could not|denied|failed/i.test(line));
  const line =
    about.find((candidate) => !/\bwarn/i.test(candidate)) ?? about[0] ?? reasonIn(lines.join('\n'));
  return line === undefined ? 'it printed nothing' : line.slice(0, 300);
}

/** How far the work on a tool is: more words for its progress, and the share that is done. */
export type Detail = { readonly text?: string; readonly share?: Share };

/**
 * The result of the work, during which the task's progress is `text` with the current detail. Rejects if the run was
 * stopped meanwhile.
 */
export async function withProgress<Result>(
  { progress, signal }: Pick<ToolContext, 'progress' | 'signal'>,
  text: string,
  work: PromiseLike<Result>,
  detail: () => Detail = () => ({}),
): Promise<Result> {
  const say = () => {
    const { text: more, share } = detail();
    // The more telling part first, since a terminal may cut the rest.
    progress(more === undefined ? text : `${more}, ${text}`, share);
  };
  say();
  const timer = setInterval(say, 1000);
  timer.unref();
  try {
    return await work;
  } finally {
    clearInterval(timer);
    say();
    signal.throwIfAborted();
  }
}

/** The detail of a download; `total` in bytes. */
export function bytesDetail(done: number, total: number): Detail {
  const size = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  return total > 0 ? { text: `${size(done)} of ${size(total)} MiB`, share: { done, total } } : {};
}
