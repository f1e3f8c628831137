// One task with its log, beside the rest of the page.
import { because, lengthOf, run, word } from './data.js';
import { duration, element, find } from './elements.js';

/** @typedef {import('./data.js').Task} Task */

/** @type {number | undefined} */
let selected;

/** Which task is shown stands in the address, so that it can be linked to. @param {number} place */
export function choose(place) {
  location.hash = `task-${place}`;
}

/** @param {number} place */
export function link(place) {
  const button = element('button', { class: 'link', type: 'button' }, [run.tasks[place]?.label ?? '']);
  button.addEventListener('click', () => choose(place));
  return button;
}

export function followHash() {
  const [, digits] = /^#task-(\d+)$/.exec(location.hash) ?? [];
  const before = selected;
  selected = digits === undefined || run.tasks[Number(digits)] === undefined ? undefined : Number(digits);
  for (const marked of document.querySelectorAll('[data-task]')) {
    const on = Number(/** @type {HTMLElement} */ (marked).dataset.task) === selected;
    marked.classList.toggle('selected', on);
    if (marked.tagName !== 'TR') marked.setAttribute('aria-pressed', String(on));
  }
  document.body.classList.toggle('open', selected !== undefined);
  find('detail').hidden = selected === undefined;
  if (selected !== undefined) showDetail(selected);
  // Back to where the reader came from.
  else if (before !== undefined)
    /** @type {HTMLElement | null} */ (document.querySelector(`.bar[data-task="${before}"]`))?.focus();
}

/** @param {number} place */
function showDetail(place) {
  const task = run.tasks[place];
  if (task === undefined) return;
  const close = element('button', { class: 'close', type: 'button', 'aria-label': 'close' }, ['×']);
  close.addEventListener('click', () => {
    location.hash = '';
  });
  const ran = task.startedAt !== undefined;
  const facts = [
    `${word(task.status)}${because(task)}`,
    ...(task.report === undefined ? [] : [task.report]),
    ...(ran ? [`took ${duration(lengthOf(task))}`, `waited ${duration(task.waitedMs)}`] : []),
    ...(task.attempts > 1 ? [`${task.attempts} attempts`] : []),
    ...(task.critical ? ['on the critical path'] : []),
    task.place,
  ];
  const log = element('div', { class: 'log', tabindex: '0', role: 'log', 'aria-label': 'log' }, []);
  if (task.dropped > 0)
    log.append(element('div', { class: 'command' }, [`(${task.dropped} lines before these were not kept)`]));
  for (const { at, stream, text } of task.lines) {
    const shown = stream === 'command' ? `$ ${text}` : text;
    log.append(
      element('div', { class: stream }, [element('time', {}, [duration(at)]), element('span', {}, [shown])]),
    );
  }
  if (task.lines.length === 0) log.append(element('div', { class: 'command' }, ['no output']));
  const failure = element('div', { class: 'failure' }, failureParts(task));
  find('detail').replaceChildren(
    close,
    element('h2', {}, [task.label]),
    element('p', { class: 'hint' }, [task.description]),
    element(
      'ul',
      { class: 'facts' },
      facts.map((fact) => element('li', {}, [fact])),
    ),
    ...(task.failure === undefined ? [] : [failure]),
    log,
  );
}

/** @param {Task} task */
export function failureParts(task) {
  const { failure, chain } = task;
  if (failure === undefined) return [];
  return [
    element('p', {}, [element('strong', {}, [failure.what])]),
    ...(failure.why === undefined ? [] : [element('p', {}, [`why: ${failure.why}`])]),
    ...(failure.advice === undefined ? [] : [element('p', {}, [`do: ${failure.advice}`])]),
    element('p', { class: 'hint' }, [`${chain.join(' → ')} (${task.place}), exit code ${failure.exitCode}`]),
  ];
}
