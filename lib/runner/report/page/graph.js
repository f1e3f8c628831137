// Brings the picture of the graph to life.
import { run, word } from './data.js';
import { choose } from './detail.js';
import { walkWithArrows } from './elements.js';

export function showGraph() {
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
