// What the page is drawn from; `pageData` in html.ts makes it.
import { find } from './elements.js';

/**
 * @typedef {{ at: number, stream: string, text: string }} Line
 * @typedef {{ what: string, why?: string, advice?: string, exitCode: number }} Failure
 * @typedef {{
 *   label: string, description: string, place: string, status: string, report?: string, startedAt?: number,
 *   endedAt?: number, waitedMs: number, lane?: number, attempts: number, failure?: Failure, chain: string[],
 *   because?: number, lines: Line[], dropped: number, critical: boolean, node: string, needs: number[],
 * }} Task
 * @typedef {{
 *   label: string, startedAt: number, durationMs: number, jobs: number, outcome: string, exitCode: number,
 *   notes: { at: number, text: string }[], tasks: Task[], critical: { tasks: number[], durationMs: number },
 * }} Run
 */

/** @type {Run} */
export const run = JSON.parse(find('data').textContent ?? '');

/** Words for a status that are not the status itself. */
const statusWords = /** @type {Record<string, string>} */ ({
  interrupted: 'stopped',
  resumed: 'done by the last run',
  skipped: 'not started',
  'up-to-date': 'up to date',
  waiting: 'not started',
});

/** @param {string} status */
export function word(status) {
  return statusWords[status] ?? status;
}

/** @param {Task} task */
export function because(task) {
  return task.because === undefined ? '' : ` because of ${run.tasks[task.because]?.label ?? ''}`;
}

/** @param {Task} task */
export function lengthOf({ startedAt = 0, endedAt = startedAt }) {
  return Math.max(0, endedAt - startedAt);
}
