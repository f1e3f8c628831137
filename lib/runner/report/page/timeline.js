// One lane per worker, one bar per task.
import { lengthOf, run, word } from './data.js';
import { choose } from './detail.js';
import { duration, element, find, walkWithArrows } from './elements.js';

/** So many steps of the critical path fit in a paragraph. */
const mostSteps = 12;

export function showTimeline() {
  find('critical').textContent = criticalText();
  const whole = Math.max(1, run.durationMs);
  const axis = element('div', { class: 'axis' }, []);
  for (const at of ticks(whole)) {
    const tick = element('span', {}, [duration(at)]);
    tick.style.left = `${(at / whole) * 100}%`;
    axis.append(tick);
  }
  const ran = [...run.tasks.entries()]
    .filter(([, task]) => task.lane !== undefined)
    .sort(([, left], [, right]) => (left.startedAt ?? 0) - (right.startedAt ?? 0));
  const count = Math.max(0, ...ran.map(([, task]) => (task.lane ?? 0) + 1));
  const lanes = Array.from({ length: count }, (_, lane) =>
    element('div', { class: 'lane', 'data-lane': String(lane) }, [
      element('div', { class: 'lane-name' }, [element('span', {}, ['worker ']), String(lane + 1)]),
    ]),
  );
  const bars = ran.map(([place, task]) => {
    const share = lengthOf(task) / whole;
    const kind = `bar ${task.status}${task.critical ? ' critical' : ''}${share < 0.02 ? ' narrow' : ''}`;
    const bar = element('button', { class: kind, type: 'button', 'data-task': String(place) }, [
      share < 0.02 ? '' : task.label,
    ]);
    const said = `${task.label}, ${word(task.status)}, ${duration(lengthOf(task))}${task.critical ? ', on the critical path' : ''}`;
    bar.title = said;
    bar.setAttribute('aria-label', said);
    bar.style.left = `min(${((task.startedAt ?? 0) / whole) * 100}%, calc(100% - 3px))`;
    bar.style.width = `${share * 100}%`;
    bar.addEventListener('click', () => choose(place));
    lanes[task.lane ?? 0]?.append(bar);
    return bar;
  });
  find('timeline').append(axis, ...lanes);
  walkWithArrows(bars, (bar, key) => {
    const own = Number(bar.parentElement?.dataset.lane);
    const beside = bars.filter(
      (other) => Number(other.parentElement?.dataset.lane) === own + (key === 'ArrowUp' ? -1 : 1),
    );
    const middle = (/** @type {HTMLElement} */ { offsetLeft, offsetWidth }) => offsetLeft + offsetWidth / 2;
    const far = (/** @type {HTMLElement} */ other) => Math.abs(middle(other) - middle(bar));
    return beside.sort((left, right) => far(left) - far(right))[0];
  });
}

/** The longest steps of the critical path, in their order. */
function criticalText() {
  const { tasks, durationMs } = run.critical;
  if (tasks.length === 0) return 'No task ran.';
  const steps = tasks.flatMap((place) => run.tasks[place] ?? []);
  const longest = new Set(
    [...steps].sort((left, right) => lengthOf(right) - lengthOf(left)).slice(0, mostSteps),
  );
  const words = steps.map((task) => (longest.has(task) ? `${task.label} ${duration(lengthOf(task))}` : '…'));
  const shown = words.filter((text, index) => text !== '…' || words[index - 1] !== '…');
  return `Critical path, marked: ${duration(durationMs)} of ${duration(run.durationMs)}: ${shown.join(' → ')}`;
}

/** Round times, at most eight of them. @param {number} whole */
function ticks(whole) {
  const steps = [
    10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5,
  ];
  const step = steps.find((candidate) => whole / candidate <= 8) ?? 36e5 * Math.ceil(whole / 36e5 / 8);
  return Array.from({ length: Math.ceil(whole / step) }, (_, index) => index * step);
}
