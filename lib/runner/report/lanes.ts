/** The lanes of a timeline: as many as there were tasks at once, and no task beside a free one. */
export class Lanes {
  readonly #taken: boolean[] = [];

  /** The first lane on which nothing is drawn at this time, from 0. */
  take(): number {
    const free = this.#taken.indexOf(false);
    const lane = free < 0 ? this.#taken.length : free;
    this.#taken[lane] = true;
    return lane;
  }

  leave(lane: number): void {
    this.#taken[lane] = false;
  }
}
