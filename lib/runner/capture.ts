/** Smaller chunks are put together: each one on its own costs more than it holds. */
const smallChunk = 4096;

/** What a stream of a child has printed, at most the last `limit` bytes of it (a chunk more or less). */
export class Capture {
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** The beginning was left out. */
  truncated = false;

  push(chunk: Buffer, limit: number): void {
    const last = this.#chunks.at(-1);
    if (last !== undefined && last.length < smallChunk && chunk.length < smallChunk)
      this.#chunks[this.#chunks.length - 1] = Buffer.concat([last, chunk]);
    else this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    let dropped = 0;
    for (const { length } of this.#chunks) {
      if (this.#bytes - length < limit) break;
      this.#bytes -= length;
      dropped += 1;
    }
    if (dropped === 0) return;
    this.#chunks.splice(0, dropped);
    this.truncated = true;
  }

  /** Decoded as UTF-8; a beginning that was cut starts with the next whole line. */
  text(): string {
    const text = Buffer.concat(this.#chunks).toString('utf8');
    const end = text.indexOf('\n');
    return this.truncated && end < text.length - 1 ? text.slice(end + 1) : text;
  }
}
