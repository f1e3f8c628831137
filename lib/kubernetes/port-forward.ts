import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type Command,
  type CommandOutput,
  reasonIn,
  type TaskContext,
  TaskError,
} from '@k8s-deployment/runner';
import { poll } from '../ground/poll.ts';
import type { ShellContext } from '../settings/context.ts';
import { readPods, unreadyOf } from './diagnostics.ts';
import { endCommand, kubectl, kubectlText } from './kubectl.ts';

export type Connection = { readonly host: string; readonly port: number };

export type ForwardTarget = {
  readonly namespace: string;
  /** A Service or pod, such as `svc/vault`. */
  readonly resource: string;
  readonly port: number;
  /** Local port. Default: any free one. */
  readonly localPort?: number | undefined;
  /** Milliseconds to retry while pods start. Default: 0, one attempt. */
  readonly waitMs?: number;
  /** True if the server answers; kubectl only finds a pod, whose container may not listen yet. Needs `waitMs`. */
  readonly answers?: ((connection: Connection) => Promise<boolean>) | undefined;
};

export type ForwardContext = ShellContext & Partial<Pick<TaskContext, 'signal' | 'progress'>>;

/** Milliseconds for pods to answer after the cluster starts. */
export const podStartMs = 120_000;

/**
 * Calls `use` with a loopback address that `kubectl port-forward` connects to a Service or pod. If nothing answers in
 * time, throws `TaskError` with the last reason and the pods' problems.
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

/** News of a lasting forward: its address, each time it opens, and why it was lost. */
type ForwardNews = {
  readonly onOpen: (connection: Connection) => void;
  readonly onLost: (reason: string) => void;
};

/**
 * Forwards from the same local port until the run stops, and reconnects when kubectl ends. kubectl notices a missing
 * pod only on a connection, so it gets one every `lookMs` milliseconds. Throws `TaskError` as `withPortForward` does if
 * nothing answers in time.
 */
export async function keepForward(
  context: ForwardContext & Pick<TaskContext, 'signal'>,
  target: ForwardTarget,
  { onOpen, onLost }: ForwardNews,
  lookMs = 3000,
): Promise<void> {
  const { signal } = context;
  const quiet = { ...context, $: context.$({ quiet: true, nothrow: true }) };
  for (let { localPort } = target; ; ) {
    const { command, connection } = await openForward(quiet, { ...target, localPort });
    localPort = connection.port;
    onOpen(connection);
    const ended = command.then(howEnded);
    let reason: string | undefined;
    while (reason === undefined && !signal.aborted) {
      const pause = delay(lookMs, undefined, { signal }).catch(() => undefined);
      reason = await Promise.race([ended, pause]);
      if (reason === undefined) touch(connection);
    }
    await endCommand(command);
    if (reason === undefined || signal.aborted) return;
    onLost(reason);
  }
}

/** Connects and closes without sending anything: data could be reset, which would end the other connections, too. */
function touch({ host, port }: Connection): void {
  const socket = connect({ host, port });
  socket.on('error', () => undefined);
  socket.resume().end();
}

type Forward = { readonly command: Command; readonly connection: Connection };

async function openForward(context: ForwardContext, target: ForwardTarget): Promise<Forward> {
  const { environment } = context;
  const { namespace, resource, waitMs = 0 } = target;
  let reason = '';
  const found = await poll(
    async () => {
      const attempt = await tryForward(context, waitMs > 0 ? target : { ...target, answers: undefined });
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

/** Milliseconds for kubectl to find the pod; on a node that just died, the API server waits much longer. */
const openMs = 15_000;

/** True if retrying cannot help: the API server refuses or has no such object. */
const isFinal = (reason: string): boolean => /\((?:NotFound|Forbidden|Unauthorized)\)/.test(reason);

const howEnded = ({ stderr, exitCode }: CommandOutput): string =>
  reasonIn(stderr) ?? `kubectl ended with exit code ${exitCode}`;

/**
 * Runs `kubectl port-forward` once; returns the reason if no server answers. The server is asked over a forward of its
 * own: kubectl ends one if either side resets a connection, as the question may.
 */
async function tryForward(context: ShellContext, target: ForwardTarget): Promise<Forward | string> {
  const { $, environment } = context;
  const { namespace, resource, port, localPort, answers } = target;
  const ports = `${answers === undefined ? (localPort ?? '') : ''}:${port}`;
  const words = ['port-forward', resource, ports, '--address', '127.0.0.1'];
  const command = $`exec ${kubectl(environment)} -n ${namespace} ${words}`;
  const opened = new Promise<Connection>((resolve) => {
    createInterface({ input: command.stdout }).on('line', (line) => {
      const [, found] = /^Forwarding from 127\.0\.0\.1:(\d+) /.exec(line) ?? [];
      if (found !== undefined) resolve({ host: '127.0.0.1', port: Number(found) });
    });
  });
  const late = delay(openMs, `no answer within ${openMs / 1000} s`, { ref: false });
  const found = await Promise.race([opened, command.then(howEnded), late]);
  if (typeof found !== 'string' && answers === undefined) return { command, connection: found };
  let isUp: boolean | undefined;
  try {
    isUp = typeof found !== 'string' && (await answers?.(found));
  } finally {
    await endCommand(command);
  }
  if (isUp) return tryForward(context, { ...target, answers: undefined });
  if (typeof found === 'string') return found;
  return reasonIn((await command).stderr) ?? 'the pod does not answer';
}
