import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export type Place = { readonly file: string; readonly line: number };

/**
 * Where a function was called. The stack is captured now but only formatted when it is asked for, because mapping it back to
 * TypeScript costs far more than capturing it.
 */
export class CallSite {
  // Captured into this very object: one more for each of thousands of tasks would be kept as long as they are.
  declare readonly stack: string;
  #place: Place | undefined;

  constructor(callee: (...args: never[]) => unknown) {
    // One frame is enough, and kept frames are what costs when there are thousands of tasks.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 1;
    Error.captureStackTrace(this, callee);
    Error.stackTraceLimit = stackTraceLimit;
  }

  get place(): Place {
    this.#place ??= parsePlace(this.stack);
    return this.#place;
  }
}

/**
 * `tasks/vault.ts:12`, relative to the working directory when it lies below. A copy of a task (`{ ...build }`) was declared nowhere.
 */
export function formatPlace(place: Partial<Place>): string {
  if (place.file === undefined) return 'an unknown place (a copy of a task)';
  return `${shortPath(place.file)}:${place.line}`;
}

export function shortPath(file: string): string {
  const path = relative(process.cwd(), file);
  return path.startsWith('..') ? file : path;
}

function parsePlace(stack: string): Place {
  const frame = stack.split('\n').find((line) => /^\s+at /.test(line)) ?? '';
  const [, path = '', line = '0'] =
    /(?:\(|at (?:async )?)((?:file:\/\/|\/|[A-Za-z]:\\).*?):(\d+):\d+\)?$/.exec(frame) ?? [];
  return { file: path.startsWith('file:') ? fileURLToPath(path) : path, line: Number(line) };
}
