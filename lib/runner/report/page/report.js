// @ts-check
// The script of a report: draws what the data says. It asks for nothing, so it works from a file and without a network.
(() => {
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
   *   workers: { workers: number | null, durationMs: number }[],
   * }} Run
   */

  /** @type {Run} */
  const run = JSON.parse(find('data').textContent ?? '');
  const statusWords = /** @type {Record<string, string>} */ ({
    interrupted: 'stopped',
    skipped: 'not started',
    waiting: 'not started',
  });
  /** @type {number | undefined} */
  let selected;

  showSummary();
  showFailures();
  showTimeline();
  showGraph();
  showWorkers();
  showTasks();
  showNotes();
  addEventListener('hashchange', followHash);
  addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && selected !== undefined) location.hash = '';
  });
  followHash();

  function showSummary() {
    const word = statusWords[run.outcome] ?? run.outcome;
    const title = element('h1', {}, [`${run.label} `]);
    title.append(
      element('span', { class: `status ${run.outcome}` }, [word]),
      ` in ${duration(run.durationMs)}`,
    );
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const { status } of run.tasks) {
      const shown = statusWords[status] ?? status;
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

  /** @param {Task} task */
  function failureParts(task) {
    const { failure, chain } = task;
    if (failure === undefined) return [];
    return [
      element('p', {}, [element('strong', {}, [failure.what])]),
      ...(failure.why === undefined ? [] : [element('p', {}, [`why: ${failure.why}`])]),
      ...(failure.advice === undefined ? [] : [element('p', {}, [`do: ${failure.advice}`])]),
      element('p', { class: 'hint' }, [
        `${chain.join(' → ')} (${task.place}), exit code ${failure.exitCode}`,
      ]),
    ];
  }

  function showTimeline() {
    const steps = run.critical.tasks.map((place) => {
      const task = run.tasks[place];
      return task === undefined ? '' : `${task.label} ${duration(lengthOf(task))}`;
    });
    find('critical').textContent =
      steps.length === 0
        ? 'No task ran.'
        : `Critical path, marked: ${duration(run.critical.durationMs)} of ${duration(run.durationMs)}: ${steps.join(' → ')}`;
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
      const said = `${task.label}, ${statusWords[task.status] ?? task.status}, ${duration(lengthOf(task))}${task.critical ? ', on the critical path' : ''}`;
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

  /** Round times, at most eight of them. @param {number} whole */
  function ticks(whole) {
    const steps = [
      10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5,
    ];
    const step = steps.find((candidate) => whole / candidate <= 8) ?? 36e5 * Math.ceil(whole / 36e5 / 8);
    return Array.from({ length: Math.ceil(whole / step) }, (_, index) => index * step);
  }

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
      node.setAttribute('aria-label', `${task.label}, ${statusWords[task.status] ?? task.status}`);
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

  function showWorkers() {
    const longest = Math.max(1, ...run.workers.map(({ durationMs }) => durationMs));
    for (const { workers, durationMs } of run.workers) {
      const meter = element('i', {}, []);
      meter.style.width = `${Math.max(0.5, (durationMs / longest) * 100)}%`;
      const name =
        workers === null ? 'no limit' : workers === run.jobs ? `${workers} (this run)` : String(workers);
      const row = element('tr', {}, [
        element('th', { scope: 'row' }, [name]),
        element('td', { class: 'number' }, [duration(durationMs)]),
        element('td', { class: 'meter' }, [meter]),
      ]);
      document.querySelector('#workers tbody')?.append(row);
    }
  }

  function showTasks() {
    /** @type {[string, string, (task: Task, place: number) => number | string][]} */
    const columns = [
      ['task', '', ({ label }) => label],
      ['status', '', ({ status }) => statusWords[status] ?? status],
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
          element('span', { class: `status ${task.status}` }, [statusWords[task.status] ?? task.status]),
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
          const order =
            index < 2 ? String(one).localeCompare(String(other)) : Number(one) - Number(other) || 0;
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

  /** Which task is shown stands in the address, so that it can be linked to. @param {number} place */
  function choose(place) {
    location.hash = `task-${place}`;
  }

  function followHash() {
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
      `${statusWords[task.status] ?? task.status}${because(task)}`,
      ...(task.report === undefined ? [] : [task.report]),
      ...(ran ? [`took ${duration(lengthOf(task))}`, `waited ${duration(task.waitedMs)}`] : []),
      ...(task.attempts > 1 ? [`${task.attempts} attempts`] : []),
      ...(task.critical ? ['on the critical path'] : []),
      task.place,
    ];
    const log = element('div', { class: 'log', tabindex: '0', role: 'log', 'aria-label': 'log' }, []);
    if (task.dropped > 0)
      log.append(
        element('div', { class: 'command' }, [`(${task.dropped} lines before these were not kept)`]),
      );
    for (const { at, stream, text } of task.lines) {
      const shown = stream === 'command' ? `$ ${text}` : text;
      log.append(
        element('div', { class: stream }, [
          element('time', {}, [duration(at)]),
          element('span', {}, [shown]),
        ]),
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

  /**
   * One stop for the tab key, and arrow keys from one to the next: left and right in the order given, up and down as asked.
   * @template {HTMLElement | SVGElement} Item
   * @param {Item[]} items
   * @param {(item: Item, key: string) => Item | undefined} vertical
   */
  function walkWithArrows(items, vertical) {
    for (const [index, item] of items.entries()) {
      item.setAttribute('tabindex', index === 0 ? '0' : '-1');
      item.addEventListener('keydown', (pressed) => {
        const { key } = /** @type {KeyboardEvent} */ (pressed);
        const next = {
          ArrowLeft: items[index - 1],
          ArrowRight: items[index + 1],
          ArrowUp: vertical(item, 'ArrowUp'),
          ArrowDown: vertical(item, 'ArrowDown'),
          Home: items[0],
          End: items.at(-1),
        }[key];
        if (next === undefined) return;
        pressed.preventDefault();
        next.focus();
      });
      item.addEventListener('focus', () => {
        for (const other of items) other.setAttribute('tabindex', other === item ? '0' : '-1');
      });
    }
  }

  /** @param {number} place */
  function link(place) {
    const button = element('button', { class: 'link', type: 'button' }, [run.tasks[place]?.label ?? '']);
    button.addEventListener('click', () => choose(place));
    return button;
  }

  /** @param {Task} task */
  function because(task) {
    return task.because === undefined ? '' : ` because of ${run.tasks[task.because]?.label ?? ''}`;
  }

  /** @param {Task} task */
  function lengthOf({ startedAt = 0, endedAt = startedAt }) {
    return Math.max(0, endedAt - startedAt);
  }

  /** @param {number} milliseconds */
  function duration(milliseconds) {
    if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
    if (milliseconds < 59_950) return `${(milliseconds / 1000).toFixed(1)} s`;
    const seconds = Math.round(milliseconds / 1000);
    const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
    return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
  }

  /** @param {string} id */
  function find(id) {
    const found = document.getElementById(id);
    if (found === null) throw new Error(`no #${id}`);
    return found;
  }

  /**
   * Text only ever gets into the page as text.
   * @param {string} name
   * @param {Record<string, string>} attributes
   * @param {(Node | string)[]} children
   */
  function element(name, attributes, children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }
})();
