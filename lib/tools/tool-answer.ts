import { constants } from 'node:os';
import { type CommandOutput, reasonIn, TaskError } from '../runner/runner.ts';

/** What tells how a program ended; of `$` with `nothrow`. */
export type Ended = Pick<CommandOutput, 'stderr' | 'exitCode' | 'signal'>;

/** The signal that ended a program; a shell gives 128 + n for one that died by signal n. */
export function signalOf({ exitCode, signal }: Omit<Ended, 'stderr'>): NodeJS.Signals | undefined {
  if (signal !== null) return signal;
  const names = Object.entries(constants.signals) as [NodeJS.Signals, number][];
  return names.find(([, number]) => exitCode === 128 + number)?.[0];
}

/** What a program's stderr tells of its failure, else how it ended: `ended by SIGKILL`, `exit code 3`. */
export const reasonOf = (output: Ended): string => reasonIn(output.stderr) ?? endOf(output);

/** How a program ended: `exit code 14`, `ended by SIGKILL`. */
export const endOf = (output: Omit<Ended, 'stderr'>): string => {
  const signal = signalOf(output);
  return signal === undefined ? `exit code ${output.exitCode}` : `ended by ${signal}`;
};

/** The error for a program that gave no answer, from which nothing follows. `command` is what a person recognises. */
export function toolFailure(command: string, output: Ended, advice?: string): TaskError {
  const signal = signalOf(output);
  const reason = reasonOf(output);
  return new TaskError({
    what:
      signal === undefined
        ? `\`${command}\` failed with exit code ${output.exitCode}`
        : `\`${command}\` was ended by ${signal}`,
    why: reason === endOf(output) ? 'it said nothing else' : reason,
    advice:
      advice ?? (signal === 'SIGKILL' ? 'free some memory (see `dmesg`), then run again' : 'run it again'),
    exitCode: output.exitCode === 0 ? undefined : output.exitCode,
  });
}

/** The JSON that a program printed. Throws `TaskError` for none, and for what is cut off or something else. */
export function parseAnswer<Answer>(command: string, { stdout }: Pick<CommandOutput, 'stdout'>): Answer {
  try {
    const answer: unknown = JSON.parse(stdout);
    if (typeof answer === 'object' && answer !== null) return answer as Answer;
  } catch {
    // Told below, without the parser's words: they quote the text, which may hold a secret.
  }
  const [tool] = command.split(' ');
  throw noAnswer(
    command,
    stdout.trim() === ''
      ? `${tool} ended well, but printed nothing`
      : `what ${tool} printed is not whole JSON`,
  );
}

/** The error for a program that ended well without the answer that it always gives. */
export const noAnswer = (command: string, why = 'it ended well, but printed nothing of it'): TaskError =>
  new TaskError({
    what: `\`${command}\` gave no answer that can be read`,
    why,
    advice: `run \`${command}\` by itself to see what it prints`,
  });
