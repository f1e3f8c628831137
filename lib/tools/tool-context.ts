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

/** Calls `tell` with the elapsed time, immediately and every second, until the returned function is called. */
export function everySecond(tell: (elapsed: string) => void): () => void {
  const start = performance.now();
  const say = () => tell(formatDuration(performance.now() - start));
  say();
  const timer = setInterval(say, 1000);
  timer.unref();
  return () => clearInterval(timer);
}
