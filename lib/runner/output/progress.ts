import type { RunEvent } from '../events.ts';
import { formatDuration } from '../format.ts';
import type { PageRow } from '../task.ts';
import type { Style } from './terminal.ts';

type Told = Extract<RunEvent, { type: 'task-progress' }>;

/** Milliseconds, and the part of the whole, after which the rate is known well enough. */
const soonestMs = 3000;
const leastPart = 1 / 50;
/** Milliseconds between the lines of a log about the same task. */
const everyMs = 30_000;

/** How far a running task is, as its events tell. Times are milliseconds since 1970. */
export class Progress {
  readonly startedAt: number;
  /** Its last line and its page, for a terminal. */
  said = '';
  page: readonly PageRow[] = [];
  #shownAt: number;
  #first: Told | undefined;
  #last: Told | undefined;

  constructor(startedAt: number) {
    this.startedAt = startedAt;
    this.#shownAt = startedAt;
  }

  note(event: Told): void {
    const same = event.share !== undefined && event.share.total === this.#first?.share?.total;
    if (!same) this.#first = event;
    this.#last = event;
  }

  /** `45% 2m10s left`, the latter once it can be said; empty for a task that tells no share. */
  text(at: number): string {
    const [first, last] = [this.#first, this.#last];
    if (first?.share === undefined || last?.share === undefined || last.share.total <= 0) return '';
    const { done, total } = last.share;
    const percent = `${Math.floor((100 * done) / total)}%`;
    const more = done - first.share.done;
    const passed = last.at - first.at;
    if (more <= total * leastPart || passed < soonestMs) return percent;
    const left = (passed / more) * (total - done) - (at - last.at);
    return `${percent} ${formatDuration(Math.max(0, left))} left`;
  }

  /** `███░░░░░`, empty for a task that tells no share. */
  bar(width: number, { symbols }: Style): string {
    const { done = 0, total = 0 } = this.#last?.share ?? {};
    if (total <= 0) return '';
    const full = Math.round((width * done) / total);
    return symbols.full.repeat(full) + symbols.empty.repeat(width - full);
  }

  /** A line for a log, now and then: undefined until enough time has passed. */
  line(event: Told): string | undefined {
    if (event.at - this.#shownAt < everyMs) return undefined;
    this.#shownAt = event.at;
    return [this.text(event.at), event.text].filter((part) => part !== '').join(', ');
  }
}
