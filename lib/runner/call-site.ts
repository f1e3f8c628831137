import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export type Place = { readonly file: string; readonly line: number };

/**
 * The place of a function call, such as the declaration of a task. Captures the stack now and formats it on request,
 * because mapping it to TypeScript costs far more.
 */
export class CallSite implements Place {
  // Another object, as the stack would be a slow property of this one.
  readonly #trace: { stack?: string } = {};
  #place: Place | undefined;

  constructor(callee: (...args: never[]) => unknown) {
    // One frame suffices, and kept frames are expensive with thousands of tasks.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 1;
    Error.captureStackTrace(this.#trace, callee);
    Error.stackTraceLimit = stackTraceLimit;
  }

  get file(): string {
    return this.#called.file;
  }

  get line(): number {
    return this.#called.line;
  }

  get #called(): Place {
    this.#place ??= parsePlace(this.#trace.stack ?? '');
    return this.#place;
  }
}

/** `tasks/vault.ts:12`, relative if below the working directory. */
export function formatPlace({ file, line }: Place): string {
  return `${shortPath(file)}:${line}`;
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
