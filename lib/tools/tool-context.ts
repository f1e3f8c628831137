import { formatDuration, reasonIn, type TaskContext } from '@k8s-deployment/runner';

/** The part of a task's context needed to install a tool. */
export type ToolContext = Pick<TaskContext, '$' | 'signal' | 'log' | 'progress'>;

/** The result of an attempt to get a tool: the program, or a short reason with advice. */
export type WayResult =
  | { readonly program: string }
  | { readonly reason: string; readonly advice?: string | undefined };

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

/**
 * The result of the work, during which the task's progress is `text`, the elapsed time and `detail`. Rejects if the run
 * was stopped meanwhile.
 */
export async function withProgress<Result>(
  { progress, signal }: Pick<ToolContext, 'progress' | 'signal'>,
  text: string,
  work: PromiseLike<Result>,
  detail = () => '',
): Promise<Result> {
  const start = performance.now();
  const say = () => progress(`${text}, ${formatDuration(performance.now() - start)}${detail()}`);
  say();
  const timer = setInterval(say, 1000);
  timer.unref();
  try {
    return await work;
  } finally {
    clearInterval(timer);
    signal.throwIfAborted();
  }
}
