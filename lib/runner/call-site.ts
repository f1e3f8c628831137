import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export type Place = { readonly file: string; readonly line: number };

/**
 * The place of a function call. Captures the stack now and formats it on request, because mapping it to TypeScript
 * costs far more.
 */
export class CallSite {
  // Captured into this object: another one per task would live as long as the task.
  declare readonly stack: string;
  #place: Place | undefined;

  constructor(callee: (...args: never[]) => unknown) {
    // One frame suffices, and kept frames are expensive with thousands of tasks.
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

/** `tasks/vault.ts:12`, relative if below the working directory. A copied task (`{ ...build }`) has no place. */
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
