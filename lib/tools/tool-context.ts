import { formatDuration, reasonIn, type TaskContext } from '../runner/runner.ts';

/** The part of a task's context that getting a tool needs. */
export type ToolContext = Pick<TaskContext, '$' | 'signal' | 'log' | 'progress'>;

/** What one way of getting a tool comes to: the program, or why not, in a few words, and what would help. */
export type WayResult =
  | { readonly program: string }
  | { readonly reason: string; readonly advice?: string | undefined };

/** What a program of somebody else said when it failed, in one line: its first line about an error, else its last. */
export function lastWords(output: string): string {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^(npm notice|at |# )/.test(line));
  const about = lines.filter((line) => /\berror\b|fatal|no space|cannot|could not|denied|failed/i.test(line));
  const line =
    about.find((candidate) => !/\bwarn/i.test(candidate)) ?? about[0] ?? reasonIn(lines.join('\n'));
  return line === undefined ? 'it said nothing' : line.slice(0, 300);
}

/** Calls `tell` at once and then every second with the time since the start, until the returned function is called. */
export function everySecond(tell: (elapsed: string) => void): () => void {
  const start = performance.now();
  const say = () => tell(formatDuration(performance.now() - start));
  say();
  const timer = setInterval(say, 1000);
  timer.unref();
  return () => clearInterval(timer);
}
