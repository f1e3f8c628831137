import { createInterface } from 'node:readline';
import type { Command } from '@k8s-deployment/runner';
import type { EnvironmentContext } from '../../settings/context.ts';

/** Makes minikube print an event of JSON a line. */
export const asEvents = ['--output', 'json'] as const;

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
export function followEvents(
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
export function plainLine(line: string): string {
  const { type, data } = parseEvent(line) ?? {};
  if (data?.message === undefined) return line;
  if (type !== 'io.k8s.sigs.minikube.error' || data.name === undefined) return data.message;
  const suggestion = data.advice ? `\nSuggestion: ${data.advice}` : '';
  return `Exiting due to ${data.name}: ${data.message}${suggestion}`;
}

/** Undefined for a line of text, or one that a killed minikube did not finish. */
function parseEvent(line: string): Event | undefined {
  if (!line.includes('"io.k8s.sigs.minikube.')) return undefined;
  try {
    return JSON.parse(line) as Event;
  } catch {
    return undefined;
  }
}
