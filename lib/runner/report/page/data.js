// What the page is drawn from.
import { find } from './elements.js';

/** @typedef {ReturnType<typeof import('../html.ts').pageData>} Run */
/** @typedef {Run['tasks'][number]} Task */

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
