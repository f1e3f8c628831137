import type { Readable, Writable } from 'node:stream';

/** Bytes waiting to be written above which children are not read. */
const limit = 1 << 20;

/**
 * Slows children down to the speed of our output: while too much waits to be written, their pipes are not read, fill
 * up, and block them. Otherwise it would fill our memory.
 */
export class BackPressure {
  readonly #sources = new Set<Readable>();
  readonly #held = new Set<Readable>();
  readonly #full = new Set<Writable>();
  #released = false;

  /** Pauses this stream while there is no room, until it ends. */
  watch(source: Readable): void {
    this.#sources.add(source);
    source.once('close', () => {
      this.#sources.delete(source);
      this.#held.delete(source);
    });
    if (this.#full.size > 0) this.#hold(source);
  }

  /** True if the stream is silent only because the run does not read it. */
  holds(source: Readable): boolean {
    return this.#held.has(source);
  }

  /** Call after each write to an output stream. */
  note(target: Writable): void {
    if (target.writableLength < limit || this.#released || this.#full.has(target)) return;
    this.#full.add(target);
    const done = (): void => {
      for (const event of ['drain', 'close', 'error']) target.off(event, done);
      this.#full.delete(target);
      if (this.#full.size === 0) this.#resume();
    };
    for (const event of ['drain', 'close', 'error']) target.on(event, done);
    for (const source of this.#sources) this.#hold(source);
  }

  /**
   * Lets the run stop although nobody reads its log: children are read again, and what cannot be written is dropped
   * (see `overflows`).
   */
  release(): void {
    this.#released = true;
    this.#resume();
  }

  /** True if further output has to be dropped. */
  overflows(target: Writable): boolean {
    return this.#released && target.writableLength > 2 * limit;
  }

  #hold(source: Readable): void {
    // A stream that somebody else paused is not ours to resume.
    if (this.#released || this.#held.has(source) || source.isPaused()) return;
    this.#held.add(source);
    source.pause();
  }

  #resume(): void {
    const held = [...this.#held];
    this.#held.clear();
    for (const source of held) source.resume();
  }
}
