/** Smaller chunks are put together: each one on its own costs more than it holds. */
const smallChunk = 4096;

/** What a stream of a child has printed, at most the last `limit` bytes of it (a chunk more or less). zx fills it: a list with `push`. */
export class Capture extends Array<Buffer> {
  readonly #limit: () => number;
  #bytes = 0;
  /** The beginning was left out. */
  truncated = false;

  constructor(limit: () => number) {
    super();
    this.#limit = limit;
  }

  override push(chunk: Buffer): number {
    const last = this.at(-1);
    if (last !== undefined && last.length < smallChunk && chunk.length < smallChunk)
      this[this.length - 1] = Buffer.concat([last, chunk]);
    else super.push(chunk);
    this.#bytes += chunk.length;
    const limit = this.#limit();
    for (let [first] = this; first !== undefined && this.#bytes - first.length >= limit; [first] = this) {
      this.#bytes -= first.length;
      this.shift();
      this.truncated = true;
    }
    return this.length;
  }

  /** Decoded as UTF-8; a beginning that was cut starts with the next whole line. */
  text(): string {
    const text = Buffer.concat([...this]).toString('utf8');
    const end = text.indexOf('\n');
    return this.truncated && end < text.length - 1 ? text.slice(end + 1) : text;
  }
}
