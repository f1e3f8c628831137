import { get as httpGet } from 'node:http';
import { connect } from 'node:net';
import { stripVTControlCharacters } from 'node:util';
import { pause } from './pause.ts';
import type { Readiness } from './task.ts';

/** How a process is asked whether it is ready. */
export type Asked = {
  /** Runs a command; true when it exits with 0. */
  readonly run: (command: string, signal: AbortSignal) => Promise<boolean>;
  /** Calls back with each line of the process's output from now on. */
  readonly onLine: (listener: (line: string) => void) => void;
};

/** Between two questions: short enough not to be felt, long enough to cost nothing. */
const pollMs = 50;
/** A server that takes the connection and then says nothing is asked again after this time. */
const answerMs = 2000;

/** What is waited for, in words: `port 8080`. */
export function describeReadiness(readiness: Readiness): string {
  const { port, url, log, command } = readiness;
  if (port !== undefined) return `port ${port}`;
  if (url !== undefined) return url;
  if (log !== undefined) {
    return typeof log === 'string' ? `a line with \`${log}\`` : `a line that matches ${String(log)}`;
  }
  return `\`${command}\``;
}

/**
 * Whether somebody answers at the port or the URL already. Asked before the process is started: later nobody could tell
 * that it is not the process that answers.
 */
export async function isTaken({ port, url }: Readiness, signal: AbortSignal): Promise<boolean> {
  if (port !== undefined) return accepts(port, signal);
  return url !== undefined && (await answers(url, signal));
}

/** Resolves when the process is ready; when the signal comes before, it never does. */
export async function untilReady(readiness: Readiness, asked: Asked, signal: AbortSignal): Promise<void> {
  const { port, url, log, command } = readiness;
  if (log !== undefined) return untilLine(log, asked);
  for (;;) {
    const ready =
      port !== undefined
        ? await accepts(port, signal)
        : url !== undefined
          ? await answers(url, signal)
          : await asked.run(command ?? '', signal);
    if (signal.aborted) return new Promise(() => {});
    if (ready) return;
    await pause(pollMs, signal);
  }
}

function untilLine(wanted: string | RegExp, asked: Asked): Promise<void> {
  return new Promise((resolve) => {
    asked.onLine((line) => {
      // Servers like to colour what they say.
      const text = stripVTControlCharacters(line);
      // Not `test`, which goes on from where it was with the flag `g`.
      if (typeof wanted === 'string' ? text.includes(wanted) : text.search(wanted) >= 0) resolve();
    });
  });
}

/** Both loopback addresses: a server may listen on one of them only. */
async function accepts(port: number, signal: AbortSignal): Promise<boolean> {
  const both = await Promise.all(['127.0.0.1', '::1'].map((host) => acceptsAt(host, port, signal)));
  return both.includes(true);
}

function acceptsAt(host: string, port: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (accepted: boolean) => (): void => {
      signal.removeEventListener('abort', refuse);
      socket.destroy();
      resolve(accepted);
    };
    const refuse = end(false);
    signal.addEventListener('abort', refuse);
    socket.setTimeout(answerMs, refuse);
    socket.once('connect', end(true));
    socket.once('error', refuse);
  });
}

async function answers(url: string, signal: AbortSignal): Promise<boolean> {
  const get = url.startsWith('https:') ? (await import('node:https')).get : httpGet;
  return new Promise((resolve) => {
    const request = get(url, { agent: false, signal, timeout: answerMs }, (response) => {
      const { statusCode = 0 } = response;
      // The rest of the answer is of no interest, and may have no end.
      response.destroy();
      resolve(statusCode >= 200 && statusCode < 300);
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(false));
    request.once('close', () => resolve(false));
  });
}
