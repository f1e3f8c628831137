import type { Readable, Writable } from 'node:stream';

/** Bytes that may wait to be written before nothing more is read from children. */
const limit = 1 << 20;

/**
 * Slows children down to the speed at which their output can be written: while too much of it waits, nothing is read from
 * them, the pipe fills up, and their own writes wait. Otherwise the rest would pile up in our memory.
 */
export class BackPressure {
  readonly #sources = new Set<Readable>();
  readonly #held = new Set<Readable>();
  readonly #full = new Set<Writable>();
  #released = false;

  /** From now until its end this stream is only read from while there is room. */
  watch(source: Readable): void {
    this.#sources.add(source);
    source.once('close', () => {
      this.#sources.delete(source);
      this.#held.delete(source);
    });
    if (this.#full.size > 0) this.#hold(source);
  }

  /** True when the stream is only silent because the run does not read it. */
  holds(source: Readable): boolean {
    return this.#held.has(source);
  }

  /** To be called after each write to what output goes to. */
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
   * The run stops: whoever does not read our log must not keep it from ending. From now on everything is read from children;
   * what cannot be written is to be dropped, see `overflows`.
   */
  release(): void {
    this.#released = true;
    this.#resume();
  }

  /** True when further output is to be dropped. */
  overflows(target: Writable): boolean {
    return this.#released && target.writableLength > 2 * limit;
  }

  #hold(source: Readable): void {
    // Paused by somebody else: it is not ours to resume.
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
