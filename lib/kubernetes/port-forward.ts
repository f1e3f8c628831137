import { createInterface } from 'node:readline';
import { poll } from '../ground/poll.ts';
import { type Command, reasonIn, type TaskContext, TaskError } from '../runner/runner.ts';
import type { ShellContext } from '../settings/context.ts';
import { endCommand, kubectl, kubectlText } from './kubectl.ts';
import { readPods, unreadyOf } from './pods.ts';

export type Connection = { readonly host: string; readonly port: number };

export type ForwardTarget = {
  readonly namespace: string;
  /** A Service or pod, as `svc/vault`. */
  readonly resource: string;
  readonly port: number;
  /** Milliseconds to try for: pods that have just been started take their time. Default: 0, one attempt. */
  readonly waitMs?: number;
  /**
   * Whether the server answers. kubectl only says that it found a pod; a container that does not listen yet breaks the
   * connection. Not asked where nothing is waited for.
   */
  readonly answers?: (connection: Connection) => Promise<boolean>;
};

export type ForwardContext = ShellContext & Partial<Pick<TaskContext, 'signal' | 'progress'>>;

/** Milliseconds that pods may take to answer after a start of the cluster. */
export const podStartMs = 120_000;

/**
 * Calls `use` with a loopback address that leads to a port of a Service or pod for as long as it runs, by `kubectl port-forward`.
 * Throws `TaskError` with the last reason, and what is wrong with the pods, when nothing answers in time.
 */
export async function withPortForward<Result>(
  context: ForwardContext,
  target: ForwardTarget,
  use: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const $ = context.$({ quiet: true, nothrow: true });
  const { connection, command } = await openForward({ ...context, $ }, target);
  try {
    return await use(connection);
  } finally {
    await endCommand(command);
  }
}

type Forward = { readonly command: Command; readonly connection: Connection };

async function openForward(context: ForwardContext, target: ForwardTarget): Promise<Forward> {
  const { environment } = context;
  const { namespace, resource, waitMs = 0 } = target;
  let reason = '';
  const found = await poll(
    async () => {
      const attempt = await tryForward(context, target);
      if (typeof attempt !== 'string') return attempt;
      reason = attempt;
      context.progress?.(`waiting for ${resource} of the namespace ${namespace}: ${reason}`);
      return isFinal(reason) ? false : undefined;
    },
    waitMs,
    context.signal,
  );
  if (found) return found;
  context.signal?.throwIfAborted();
  const pods = waitMs === 0 ? [] : await readPods(context, new Set([namespace])).catch(() => []);
  throw new TaskError({
    what: `${resource} of the namespace ${namespace} cannot be reached`,
    why: [reason, ...unreadyOf(pods).map(({ object, text }) => `${object}: ${text}`)].join('\n'),
    advice: `see: ${kubectlText(environment)} -n ${namespace} get pods`,
  });
}

/** Milliseconds for kubectl to find the pod: of a node that has just died, the API server waits for much longer. */
const openMs = 15_000;

/** What the API server refuses, or does not have, does not come by waiting. */
const isFinal = (reason: string): boolean => /\((?:NotFound|Forbidden|Unauthorized)\)/.test(reason);

/** One `kubectl port-forward`; why it does not lead to a server that answers, as text. */
async function tryForward(
  { $, environment }: ShellContext,
  { namespace, resource, port, waitMs = 0, answers }: ForwardTarget,
): Promise<Forward | string> {
  const words = ['-n', namespace, 'port-forward', resource, `:${port}`, '--address', '127.0.0.1'];
  const command = $`exec ${kubectl(environment)} ${words}`;
  const local = await new Promise<number | string>((resolve) => {
    const timer = setTimeout(() => {
      resolve(`no answer within ${openMs / 1000} s`);
      void endCommand(command);
    }, openMs);
    command.finally(() => clearTimeout(timer));
    createInterface({ input: command.stdout }).on('line', (line) => {
      const match = /^Forwarding from 127\.0\.0\.1:(\d+) /.exec(line);
      if (!match) return;
      clearTimeout(timer);
      resolve(Number(match[1]));
    });
    command.then(({ stderr, exitCode }) =>
      resolve(reasonIn(stderr) ?? `kubectl ended with exit code ${exitCode}`),
    );
  });
  if (typeof local === 'string') return local;
  const connection = { host: '127.0.0.1', port: local };
  try {
    if (waitMs === 0 || answers === undefined || (await answers(connection))) return { command, connection };
  } catch (error) {
    await endCommand(command);
    throw error;
  }
  await endCommand(command);
  return reasonIn((await command).stderr) ?? 'the pod does not answer';
}
