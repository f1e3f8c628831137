import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import {
  type Command,
  type CommandOutput,
  parseJson,
  reasonIn,
  type Shell,
  TaskError,
} from '@k8s-deployment/runner';
import { shellWords } from '../../ground/shell-words.ts';
import type { EnvironmentContext, ShellContext } from '../../settings/context.ts';
import { processEnvironment } from '../../settings/environment.ts';
import { endOf } from '../../tools/tool-answer.ts';

/** The shell for minikube with the user's TMPDIR, which has locks for files that all profiles share (pkg/util/lock). */
export async function minikubeShell(context: ShellContext): Promise<Shell> {
  const env = await processEnvironment(context.environment);
  return context.$({ env: { ...env, TMPDIR: tmpdir() }, cwd: context.environment.root });
}

/**
 * Runs a minikube command. Throws `TaskError` with minikube's reason and suggestion. With the number of `nodes` that it
 * starts, its steps are the task's progress.
 */
export async function runMinikube(
  context: EnvironmentContext,
  words: readonly string[],
  nodes?: number,
): Promise<void> {
  const $ = await minikubeShell(context);
  const quiet = nodes !== undefined;
  const running = $({ nothrow: true, quiet })`minikube ${quiet ? [...words, ...asEvents] : words}`;
  if (nodes !== undefined) {
    // A quiet command is not logged.
    context.log(`$ ${shellWords(['minikube', ...words])}`);
    followEvents(running, nodes, context);
  }
  const output = await running;
  if (output.exitCode === 0) return;
  context.signal.throwIfAborted();
  const { name, clusterName } = context.environment;
  const why = minikubeReason(output);
  const other = /^RSRC_.*(CORES|MEMORY)/.test(why)
    ? `correct cluster.cpus or cluster.memoryMB in environments/${name}/settings.yaml`
    : `\`minikube logs --profile ${clusterName}\` shows more`;
  throw new TaskError({
    what: `\`minikube ${words[0]}\` failed with exit code ${output.exitCode}`,
    why,
    advice: suggestionOf(output) ?? other,
    exitCode: output.exitCode,
  });
}

/** What minikube printed, stdout first; events as text. */
const saidIn = (...streams: readonly string[]): string =>
  streams
    .join('\n')
    .split(/[\r\n]+/)
    .map(plainLine)
    .join('\n');

/** Why minikube ended: its line "Exiting due to CODE: reason", or else its last line. */
export function minikubeReason({ stdout, stderr, exitCode, signal }: CommandOutput): string {
  const said = saidIn(stdout, stderr);
  return (
    /Exiting due to (.+)/.exec(said)?.[1] ??
    reasonIn(said)
      ?.replace(/^[^\p{L}\d]+/u, '')
      .trim() ??
    endOf({ exitCode, signal })
  );
}

/** minikube's "Suggestion: …", if any. */
function suggestionOf({ stdout, stderr }: CommandOutput): string | undefined {
  return /Suggestion: (.+)/.exec(saidIn(stderr, stdout))?.[1]?.trim();
}

/** Makes minikube print an event of JSON a line. */
const asEvents = ['--output', 'json'] as const;

/** The fields of minikube's events that are used; all values are text. */
type Event = {
  readonly type: string;
  readonly data: {
    readonly message?: string;
    /** Of an error; only the final one has a name. */
    readonly name?: string;
    readonly advice?: string;
    readonly currentstep?: string;
    readonly totalsteps?: string;
    /** Of a download: what, and its share from 0 to 1. */
    readonly artifact?: string;
    readonly progress?: string;
  };
};

/** Logs the messages of a command with `asEvents`; its steps are the task's progress. `nodes` have all steps each. */
function followEvents(
  { stdout, stderr }: Command,
  nodes: number,
  { log, progress }: Pick<EnvironmentContext, 'log' | 'progress'>,
): void {
  let node = 0;
  let last = '';
  createInterface({ input: stdout }).on('line', (line) => {
    const event = parseEvent(line);
    if (event === undefined) return log(line);
    const { message, name, artifact, currentstep, totalsteps } = event.data;
    if (message !== undefined) log(plainLine(line));
    if (name === undefined || totalsteps === undefined) return;
    if (name === 'Starting Node' && name !== last) node += 1;
    last = name;
    const share =
      event.data.progress === undefined ? '' : ` ${Math.round(100 * Number(event.data.progress))}%`;
    const total = nodes * Number(totalsteps);
    const done = Math.max(0, node - 1) * Number(totalsteps) + Number(currentstep);
    progress(artifact === undefined ? name : `${name}: ${artifact}${share}`, { done, total });
  });
  createInterface({ input: stderr }).on('line', log);
}

/** A line of output as minikube prints it without `asEvents`. */
function plainLine(line: string): string {
  const { type, data } = parseEvent(line) ?? {};
  if (data?.message === undefined) return line;
  if (type !== 'io.k8s.sigs.minikube.error' || data.name === undefined) return data.message;
  const suggestion = data.advice ? `\nSuggestion: ${data.advice}` : '';
  return `Exiting due to ${data.name}: ${data.message}${suggestion}`;
}

/** Undefined for a line of text, or one that a killed minikube did not finish. */
function parseEvent(line: string): Event | undefined {
  return line.includes('"io.k8s.sigs.minikube.') ? (parseJson(line) as Event | undefined) : undefined;
}
