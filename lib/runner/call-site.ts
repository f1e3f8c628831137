import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export type Place = { readonly file: string; readonly line: number };

/**
 * Where `callee` was called. The stack is captured now but only formatted on the first call of the returned function,
 * because mapping it back to TypeScript costs far more than capturing it.
 */
export function callSite(callee: (...args: never[]) => unknown): () => Place {
  const holder: { stack?: string } = {};
  // One frame is enough, and kept frames are what costs when there are thousands of tasks.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 1;
  Error.captureStackTrace(holder, callee);
  Error.stackTraceLimit = stackTraceLimit;
  let place: Place | undefined;
  return () => {
    place ??= parsePlace(holder.stack ?? '');
    return place;
  };
}

/** `tasks/vault.ts:12`, relative to the working directory when it lies below. */
export function formatPlace(place: Place): string {
  return `${shortPath(place.file)}:${place.line}`;
}

export function shortPath(file: string): string {
  const path = relative(process.cwd(), file);
  return path.startsWith('..') ? file : path;
}

function parsePlace(stack: string): Place {
  const frame = stack.split('\n').find((line) => /^\s+at /.test(line)) ?? '';
  const [, path = '', line = '0'] =
    /\(?((?:file:\/\/|\/|[A-Za-z]:\\)[^()]*?):(\d+):\d+\)?$/.exec(frame) ?? [];
  return { file: path.startsWith('file:') ? fileURLToPath(path) : path, line: Number(line) };
}
