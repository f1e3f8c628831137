import { execFile } from 'node:child_process';
import { constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { promisify } from 'node:util';
import { neutralLine } from './output/text.ts';
import type { Redactor } from './redact.ts';

/** Characters up to which a line is shown in one piece. It has to fit in memory. */
const longestLine = 8 << 20;

/**
 * Splits a child's output, of which it is given chunk after chunk or text at the end, into lines, so that a secret or
 * character in two chunks is seen whole. A carriage return (progress bars) ends a line too. Removes control characters
 * except colours.
 */
export function lineSplitter(redactor: Redactor, onLine: (line: string) => void, longest = longestLine) {
  const decoder = new StringDecoder('utf8');
  /** Only new text is searched for line breaks: searching a long line again for each chunk is quadratic. */
  let rest = '';
  /** True if the last chunk ended with a carriage return; a line feed after it belongs to the same break. */
  let returned = false;
  return (chunk: Buffer | string): void => {
    const text = typeof chunk === 'string' ? decoder.end() + chunk : decoder.write(chunk);
    if (text === '') return;
    const [first = '', ...others] = text.slice(returned && text[0] === '\n' ? 1 : 0).split(/\r\n?|\n/);
    returned = text.endsWith('\r');
    rest += first;
    for (const line of others) {
      onLine(neutralLine(rest));
      rest = line;
    }
    while (rest.length > longest) {
      const redacted = redactor.redact(rest);
      // A secret may cross the cut, so the length of the longest one is held back.
      const end = redacted.length - Math.min(redactor.longest, redacted.length >> 1);
      const place = /[\uDC00-\uDFFF]/.test(redacted[end] ?? '') ? end - 1 : end;
      rest = redacted.slice(place);
      onLine(neutralLine(redacted.slice(0, place)));
    }
  };
}

/** Smaller chunks are merged, since each has overhead. */
const smallChunk = 4096;

/** A stream's output, about the last `limit` bytes. zx fills it with `push`. */
export class Capture extends Array<Buffer> {
  readonly #limit: number;
  #bytes = 0;
  /** True if the beginning was dropped. */
  truncated = false;

  constructor(limit: number) {
    super();
    this.#limit = limit;
  }

  override push(chunk: Buffer): number {
    const last = this.at(-1);
    if (last !== undefined && last.length < smallChunk && chunk.length < smallChunk)
      this[this.length - 1] = Buffer.concat([last, chunk]);
    else super.push(chunk);
    this.#bytes += chunk.length;
    for (
      let [first] = this;
      first !== undefined && this.#bytes - first.length >= this.#limit;
      [first] = this
    ) {
      this.#bytes -= first.length;
      this.shift();
      this.truncated = true;
    }
    return this.length;
  }

  /** Decoded as UTF-8; a truncated beginning starts with the next whole line. */
  text(): string {
    const text = Buffer.concat([...this]).toString('utf8');
    const end = text.indexOf('\n');
    return this.truncated && end < text.length - 1 ? text.slice(end + 1) : text;
  }
}

/** Both ends of a pipe, as file descriptors of this process; a child gets only what it is given. */
export type OnePipe = {
  readonly read: number;
  readonly write: number;
  used: boolean;
};

/** Pipes created at once, since that takes a process. */
const batch = 32;
const ready: OnePipe[] = [];
let making: Promise<boolean> | undefined;

/**
 * A pipe for both streams of a child, which keeps the order of its output; Node would create one pipe each. `2>&1` is
 * not enough: Node's sockets are full after some 280 short writes, and programs that do not wait (Node's among them)
 * then lose the order. Undefined if none can be created.
 */
export async function takePipe(): Promise<OnePipe | undefined> {
  while (ready.length === 0) {
    making ??= makePipes();
    if (!(await making)) return undefined;
    if (ready.length === 0) making = undefined;
  }
  return ready.pop();
}

/** Call after the command; one that did not start has not used it. */
export function returnPipe(pipe: OnePipe | undefined): void {
  if (pipe?.used === false) ready.push(pipe);
}

/** Creates pipes; false forever if there is no mkfifo or no file can be created. */
async function makePipes(): Promise<boolean> {
  let folder: string | undefined;
  try {
    folder = mkdtempSync(join(tmpdir(), 'task-runner-'));
    const files = Array.from({ length: batch }, (_, index) => join(folder ?? '', String(index)));
    await promisify(execFile)('mkfifo', files);
    for (const file of files) {
      // Opened without waiting for a writer, which then finds its reader. The name is no longer needed.
      const read = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
      ready.push({ read, write: openSync(file, constants.O_WRONLY), used: false });
    }
    return true;
  } catch {
    return ready.length > 0;
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

/** Bytes waiting to be written above which children are not read. */
const mostWaiting = 1 << 20;

/**
 * Slows children down to the speed of our output: while too much waits to be written, their pipes are not read, fill
 * up, and block them. Otherwise it would fill our memory.
 */
export class BackPressure {
  readonly #sources = new Set<Readable>();
  readonly #full = new Set<Writable>();
  #released = false;

  /** Pauses this stream while there is no room, until it ends. */
  watch(source: Readable): void {
    this.#sources.add(source);
    source.once('close', () => this.#sources.delete(source));
    if (this.#full.size > 0) source.pause();
  }

  /** Call after each write to an output stream. */
  note(target: Writable): void {
    if (target.writableLength < mostWaiting || this.#released || this.#full.has(target)) return;
    this.#full.add(target);
    const done = (): void => {
      for (const event of ['drain', 'close', 'error']) target.off(event, done);
      this.#full.delete(target);
      if (this.#full.size === 0) this.#resume();
    };
    for (const event of ['drain', 'close', 'error']) target.on(event, done);
    for (const source of this.#sources) source.pause();
  }

  /**
   * Lets the run stop although nobody reads its log: children are read again, and what cannot be written is dropped
   * (see `overflows`).
   */
  release(): void {
    this.#released = true;
    this.#full.clear();
    this.#resume();
  }

  /** True if further output has to be dropped. */
  overflows(target: Writable): boolean {
    return this.#released && target.writableLength > 2 * mostWaiting;
  }

  #resume(): void {
    for (const source of this.#sources) source.resume();
  }
}
