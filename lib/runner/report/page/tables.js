// The table of all tasks.
import { because, lengthOf, run, word } from './data.js';
import { link } from './detail.js';
import { duration, element } from './elements.js';

/** @typedef {import('./data.js').Task} Task */

export function showTasks() {
  /** @type {[string, string, (task: Task, place: number) => number | string][]} */
  const columns = [
    ['task', '', ({ label }) => label],
    ['status', '', ({ status }) => word(status)],
    ['began', 'number', ({ startedAt }) => startedAt ?? Number.POSITIVE_INFINITY],
    ['took', 'number', (task) => lengthOf(task)],
    ['waited', 'number', ({ waitedMs }) => waitedMs],
    ['attempts', 'number', ({ attempts }) => attempts],
  ];
  const body = document.querySelector('#tasks tbody');
  const rows = [...run.tasks.entries()].map(([place, task]) => {
    const ran = task.startedAt !== undefined;
    const row = element('tr', { 'data-task': String(place) }, [
      element('td', {}, [link(place), element('small', {}, [` ${task.description}`])]),
      element('td', {}, [
        element('span', { class: `status ${task.status}` }, [word(task.status)]),
        element('small', {}, [task.report === undefined ? because(task) : ` ${task.report}`]),
        element('small', {}, [task.critical ? ' critical' : '']),
      ]),
      element('td', { class: 'number' }, [ran ? duration(task.startedAt ?? 0) : '']),
      element('td', { class: 'number' }, [ran ? duration(lengthOf(task)) : '']),
      element('td', { class: 'number' }, [ran ? duration(task.waitedMs) : '']),
      element('td', { class: 'number' }, [ran ? String(task.attempts) : '']),
    ]);
    return { row, task, place };
  });
  for (const [index, [name, kind, value]] of columns.entries()) {
    const button = element('button', { type: 'button' }, [name]);
    const head = element('th', { scope: 'col', class: kind, 'aria-sort': 'none' }, [button]);
    button.addEventListener('click', () => {
      const up = head.getAttribute('aria-sort') !== 'ascending';
      for (const other of document.querySelectorAll('#tasks th')) other.setAttribute('aria-sort', 'none');
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const sorted = [...rows].sort((left, right) => {
        const [one, other] = [value(left.task, left.place), value(right.task, right.place)];
        const order = index < 2 ? String(one).localeCompare(String(other)) : Number(one) - Number(other) || 0;
        return up ? order : -order;
      });
      body?.replaceChildren(...sorted.map(({ row }) => row));
    });
    document.querySelector('#tasks thead tr')?.append(head);
  }
  body?.replaceChildren(...rows.map(({ row }) => row));
}
