import { constants } from 'node:os';
import {
  type CommandOutput,
  exitCodes,
  lastSaid,
  missingTool,
  parseJson,
  reasonIn,
  spaceAdvice,
  TaskError,
} from '@k8s-deployment/runner';

/** The result of a program run by `$` with `nothrow`. */
export type Ended = Pick<CommandOutput, 'stderr' | 'exitCode' | 'signal'>;

/** The signal that ended a program; a shell returns 128 + n for signal n. */
export function signalOf({ exitCode, signal }: Omit<Ended, 'stderr'>): NodeJS.Signals | undefined {
  if (signal !== null) return signal;
  const names = Object.entries(constants.signals) as [NodeJS.Signals, number][];
  return names.find(([, number]) => exitCode === 128 + number)?.[0];
}

/** The reason on a program's stderr, or else how it ended: `ended by SIGKILL`, `exit code 3`. */
export const reasonOf = (output: Ended): string =>
  (!tookTooLong(output) && reasonIn(output.stderr)) || endOf(output);

/** True if the runner ended the program at the command's time limit. */
const tookTooLong = ({ exitCode }: Pick<Ended, 'exitCode'>): boolean => exitCode === exitCodes.timeout;

/** How a program ended: `exit code 14`, `ended by SIGKILL`, or that it took too long. */
export const endOf = (output: Omit<Ended, 'stderr'>): string => {
  if (tookTooLong(output)) return 'it took too long and was ended';
  const signal = signalOf(output);
  return signal === undefined ? `exit code ${output.exitCode}` : `ended by ${signal}`;
};

/** The error of a failed program. `command` is its name for users. */
export function toolFailure(command: string, output: Ended, advice?: string): TaskError {
  const missing = missingTool(`\`${command}\``, output.exitCode, output.stderr);
  if (missing !== undefined) return missing;
  const signal = signalOf(output);
  const ended = signal === undefined ? `failed with exit code ${output.exitCode}` : `was ended by ${signal}`;
  const [late, said] = [tookTooLong(output), reasonIn(output.stderr)];
  return new TaskError({
    what: `\`${command}\` ${late ? 'took too long' : ended}`,
    why: late ? lastSaid(said) : (said ?? 'it printed no reason'),
    advice:
      spaceAdvice(output.stderr) ??
      advice ??
      (signal === 'SIGKILL' ? 'free some memory (see `dmesg`), then run again' : 'run it again'),
    // As the code of a task, it would mean a wrong command line.
    exitCode: output.exitCode === exitCodes.usage ? undefined : output.exitCode,
  });
}

/** Parses a program's JSON. Throws `TaskError` if it is missing or incomplete. */
export function parseAnswer<Answer>(command: string, { stdout }: Pick<CommandOutput, 'stdout'>): Answer {
  // Without the parser's message, which quotes text that may be secret.
  const answer = parseJson(stdout);
  if (typeof answer === 'object' && answer !== null) return answer as Answer;
  const [tool] = command.split(' ');
  throw noAnswer(
    command,
    stdout.trim() === ''
      ? `${tool} succeeded, but printed nothing`
      : `the output of ${tool} is not complete JSON`,
  );
}

/** The error of a program that succeeded without its usual output. */
export const noAnswer = (command: string, why = 'it succeeded, but did not print the result'): TaskError =>
  new TaskError({
    what: `\`${command}\` gave no readable answer`,
    why,
    advice: `run \`${command}\` by hand to see what it prints`,
  });
