import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TaskError, toFailure, UsageError } from '../../errors.ts';
import type { RunEventBody, TaskFailure } from '../../events.ts';
import type { OutputMode } from '../../global-options.ts';
import { createRenderer } from '../../output/renderer.ts';
import { createStyle } from '../../output/terminal.ts';
import { summaryLines } from '../../summary.ts';
import { done, type Log, logOf, node, output, rendered, start, started } from '../rig/events.ts';
import { summary as nothing } from './report/fixture.ts';

const ended = (id: string): RunEventBody => done(id, 'changed');

const render = (mode: OutputMode, ids: string[], events: RunEventBody[], terminal = logOf(false, 40)): Log =>
  rendered(mode, [started(...ids.map((id) => node(id))), ...events], { nodes: ids.length, terminal });

const two: RunEventBody[] = [
  ...[start('a'), output('a', 'a1'), start('b'), output('a', 'a2'), output('b', 'b1')],
  { type: 'task-result', id: 'b', text: 'result\n' },
  ...[ended('b'), output('a', 'a3'), ended('a')],
];

for (const mode of ['grouped', 'live'] as const)
  test(`${mode} without a terminal: lines of a task stay together, and are live while it runs alone`, () => {
    const { shown } = render(mode, ['a', 'b'], two);
    const b = '→ b\n  b1\n✓ b 1.2s changed\n';
    assert.is(shown, `→ a\n  a1\n${b}→ a\n  a2\n  a3\n✓ a 1.2s changed\n`);
  });

for (const mode of ['grouped', 'json'] as const)
  test(`${mode}: results are on stdout`, () => assert.is(render(mode, ['a', 'b'], two).results, 'result\n'));

test('json: every event is one line', () => {
  const [, ...lines] = render('json', ['a', 'b'], two).shown.trim().split('\n');
  assert.equal(
    lines.map((line) => JSON.parse(line)),
    JSON.parse(JSON.stringify(two.map((event) => ({ ...event, at: 0 })))),
  );
});

test('a private task that did nothing has no line, unless it said something, took long or was asked for', () => {
  const ids = ['silent', 'changed', 'said', 'slow', 'public'];
  const lines = (mode: OutputMode, verbose: boolean): string[] => {
    const nodes = ids.map((id) => ({ ...node(id), private: id !== 'public' }));
    const events = [started(...nodes), ...ids.map((id) => start(id)), output('said', 'x')];
    const ends = ids.map((id) => done(id, id === 'changed' ? id : undefined, id === 'slow' ? 12_000 : 40));
    const terminal = logOf(mode === 'live', 60);
    const { shown } = rendered(mode, [...events, ...ends], { verbose, nodes: ids.length, terminal });
    return [...shown.matchAll(/✓ (\S+)/g)].map(([, id]) => id ?? '');
  };
  for (const mode of ['live', 'grouped', 'prefixed', 'github'] as const) {
    assert.equal(lines(mode, false), ['changed', 'said', 'slow', 'public'], mode);
    assert.equal(lines(mode, true), ids, mode);
  }
});

test('a log gets the progress of a task every 30 seconds, whatever runs beside it', () => {
  for (const mode of ['grouped', 'prefixed', 'plain', 'github'] as const) {
    const terminal = logOf(false, 60);
    const renderer = createRenderer(mode, terminal, false, 3, { env: {}, redact: String });
    const at = (seconds: number, event: RunEventBody) => renderer.onEvent({ ...event, at: seconds * 1000 });
    at(0, started(node('a'), node('b'), node('c')));
    at(0, start('a'));
    at(0, start('b'));
    for (let second = 0; second <= 65; second += 1) {
      const share = { done: second, total: 100 };
      at(second, { type: 'task-progress', id: 'a', text: 'building', share });
      if (second === 40) at(second, { type: 'task-progress', id: 'b', text: 'waiting for pods' });
    }
    const lines = terminal.shown.split('\n').filter((line) => /^[ab]: /.test(line));
    const [first, second] = ['a: 30% 1m10s left, building; next: c', 'a: 60% 40s left, building; next: c'];
    assert.equal(lines, [first, 'b: waiting for pods; next: c', second], mode);
  }
});

for (const [name, count, more, most] of [
  ['many lines', 30_000, '', 200_000],
  ['long lines', 2000, 'x'.repeat(10_000), 10 << 20],
] as const)
  test(`grouped: a task that prints ${name} without end while another runs is cut, and says so`, () => {
    const lines = Array.from({ length: count }, (_, index) => output('a', `line ${index} ${more}`));
    const all = [start('a'), start('b'), ...lines, ended('a'), ended('b')];
    const { shown } = render('grouped', ['a', 'b'], all);
    assert.match(shown, 'lines left out');
    assert.match(shown, `line ${count - 1} ${more}\n`);
    assert.ok(shown.length < most, `${shown.length}`);
  });

for (const [mode, ids, events, shown, terminal] of [
  ['prefixed', ['a', 'b'], two, /^a │ a1\na │ a2\nb │ b1\nb │ ✓ b .*\na │ a3\na │ ✓ a .*\n$/],
  ['plain', ['a', 'b'], two, /^→ a\na1\n→ b\na2\nb1\n✓ b .*\na3\n✓ a .*\n$/],
  ['auto', ['a'], [start('a'), output('a', 'x'), ended('a')], /^x\n$/],
  ['auto', ['a'], [start('a'), output('a', 'x'), ended('a')], /^x\n$/, logOf(true)],
] as const)
  test(`${mode} of ${ids.length}${terminal ? ' on a terminal' : ''}: each line as it comes`, () => {
    assert.match(render(mode, [...ids], [...events], terminal).shown, shown);
  });

test('prefixed: no line looks at all tasks, and there may be any number of them', () => {
  const ids = Array.from({ length: 200_000 }, (_, index) => `task-${index}`);
  let asked = 0;
  const nodes = ids.map((id) => ({
    ...node(id),
    get label() {
      asked += 1;
      return id;
    },
  }));
  const lines = ids.slice(0, 100).map((id) => output(id, 'x'));
  const begun: RunEventBody = { type: 'run-started', nodes, jobs: 4 };
  const { shown } = rendered('prefixed', [begun, ...lines], { nodes: ids.length });
  assert.is(asked, ids.length);
  assert.match(shown, 'task-99     │ x\n');
});

const summary = { ...nothing, durationMs: 62_000, done: 3, changed: 1, unchanged: 2 };
const view = { nodes: 3, style: createStyle(false, true), verbose: false };

const failedTask: TaskFailure = {
  ...{ id: 'b', label: 'b', failure: { what: 'it broke', why: 'of age', exitCode: 3 } },
  ...{ chain: ['top', 'a', 'b'], lastLines: ['l1', 'l2'], place: 'x.ts:3' },
};

test('the summary counts, and says when nothing changed', () => {
  assert.equal(summaryLines(summary, view), ['done: 3 tasks in 1m02s, 1 changed']);
  assert.equal(summaryLines({ ...summary, changed: 0 }, view), ['done: 3 tasks in 1m02s, nothing changed']);
  const one = { ...summary, done: 1, changed: 0, unchanged: 0 };
  assert.equal(summaryLines(one, { ...view, nodes: 1 }), []);
  const stopped = { ...one, outcome: 'interrupted' } as const;
  const late = ['interrupted after 1m02s: 1 done, nothing left to do'];
  assert.equal(summaryLines(stopped, { ...view, nodes: 1 }), late);
  const early = ['interrupted after 1m02s: 1 done, 2 not started'];
  assert.equal(summaryLines({ ...stopped, skipped: 2 }, view), early);
});

test('the first failure stands at the end, with its chain, place and last lines', () => {
  const failures = [failedTask, { ...failedTask, id: 'c', label: 'c' }];
  const lines = summaryLines({ ...summary, outcome: 'failed', failed: 2, skipped: 1, failures }, view);
  assert.equal(lines, [
    'error: it broke',
    '  why: of age',
    '  task: top → a → b (x.ts:3)',
    '  last lines:',
    '  │ l1',
    '  │ l2',
    'also failed: c',
    'failed after 1m02s: 2 failed, 3 done, 1 not started',
  ]);
});

test('a command with exit code 2 has failed like any other; only what the user wrote wrong needs no log', () => {
  const of = (error: TaskError): string[] => {
    const failed = { ...failedTask, chain: ['top', 'b'], lastLines: ['l1'], failure: toFailure(error) };
    return summaryLines({ ...summary, outcome: 'failed', failures: [failed] }, view).slice(0, -1);
  };
  const failed = of(new TaskError({ what: '`tsc` failed', exitCode: 2 }));
  assert.equal(failed, ['error: `tsc` failed', '  task: top → b (x.ts:3)', '  last lines:', '  │ l1']);
  assert.equal(of(new UsageError({ what: 'no such app' })), ['error: no such app']);
});

test.run();
