// The script of a report: draws what the data says. It asks for nothing, so it works from a file and without a network.
import { because, lengthOf, run, word } from './data.js';
import { choose, failureParts, followHash, link } from './detail.js';
import { duration, element, find, walkWithArrows } from './elements.js';
import { showTimeline } from './timeline.js';

/** @typedef {import('./data.js').Task} Task */

showSummary();
showFailures();
showTimeline();
showGraph();
showTasks();
showNotes();
addEventListener('hashchange', followHash);
addEventListener('keydown', (event) => {
  if (event.key === 'Escape') location.hash = '';
});
followHash();

function showSummary() {
  const title = element('h1', {}, [`${run.label} `]);
  title.append(
    element('span', { class: `status ${run.outcome}` }, [word(run.outcome)]),
    ` in ${duration(run.durationMs)}`,
  );
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { status } of run.tasks) {
    const shown = word(status);
    counts.set(shown, (counts.get(shown) ?? 0) + 1);
  }
  const facts = [
    new Date(run.startedAt).toLocaleString(),
    `${run.tasks.length} ${run.tasks.length === 1 ? 'task' : 'tasks'}: ${[...counts].map(([name, number]) => `${number} ${name}`).join(', ')}`,
    `at most ${run.jobs} at once`,
    `exit code ${run.exitCode}`,
  ];
  find('summary').append(
    title,
    element(
      'ul',
      { class: 'facts' },
      facts.map((fact) => element('li', {}, [fact])),
    ),
  );
}

function showFailures() {
  const failed = [...run.tasks.entries()].filter(([, task]) => task.failure !== undefined);
  find('failures').hidden = failed.length === 0;
  for (const [place, task] of failed)
    find('failures').append(element('div', { class: 'failure' }, [link(place), ...failureParts(task)]));
}

/** Brings the picture of the graph to life. */
function showGraph() {
  const graph = document.querySelector('#graph svg');
  if (graph === null) return;
  graph.setAttribute('role', 'group');
  /** @type {SVGGElement[]} */
  const nodes = [];
  for (const [place, task] of run.tasks.entries()) {
    const node = /** @type {SVGGElement | null} */ (graph.querySelector(`[data-node="${task.node}"]`));
    if (node === null) continue;
    nodes.push(node);
    node.classList.add(task.status);
    node.classList.toggle('critical', task.critical);
    node.dataset.task = String(place);
    node.setAttribute('role', 'button');
    node.setAttribute('aria-label', `${task.label}, ${word(task.status)}`);
    node.addEventListener('click', () => choose(place));
    node.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      choose(place);
    });
  }
  const path = run.critical.tasks.map((place) => run.tasks[place]?.node);
  for (const [index, to] of path.entries())
    graph.querySelector(`[data-from="${path[index - 1]}"][data-to="${to}"]`)?.classList.add('critical');
  walkWithArrows(nodes, (node, key) => nodes[nodes.indexOf(node) + (key === 'ArrowUp' ? -1 : 1)]);
}

function showTasks() {
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

function showNotes() {
  find('notes').hidden = run.notes.length === 0;
  const items = run.notes.map(({ at, text }) => element('li', {}, [`${duration(at)}: ${text}`]));
  document.querySelector('#notes ul')?.append(...items);
}
