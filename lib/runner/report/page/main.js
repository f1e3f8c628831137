// The script of a report: draws what the data says. It asks for nothing, so it works from a file and without a network.
import { run, word } from './data.js';
import { failureParts, followHash, link } from './detail.js';
import { duration, element, find } from './elements.js';
import { showGraph } from './graph.js';
import { showTasks } from './tables.js';
import { showTimeline } from './timeline.js';

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

function showNotes() {
  find('notes').hidden = run.notes.length === 0;
  const items = run.notes.map(({ at, text }) => element('li', {}, [`${duration(at)}: ${text}`]));
  document.querySelector('#notes ul')?.append(...items);
}
