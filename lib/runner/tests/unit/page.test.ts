import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RunEventBody } from '../../events.ts';
import { createRenderer } from '../../output/renderer.ts';
import type { PageRow } from '../../task.ts';
import { done, logOf, node, output, rendered, start, started } from '../rig/events.ts';
import { Screen } from '../rig/screen.ts';

/* Pages of tasks, which are drawn in place. */

const page = (...rows: PageRow[]): RunEventBody => ({ type: 'task-page', id: 'a', rows });

function viewOf(ids: readonly string[], columns: number, rows = 24) {
  const screen = new Screen(columns, rows);
  const renderer = createRenderer('auto', screen.terminal(), false, ids.length, { env: {}, redact: String });
  const tell = (...events: RunEventBody[]): void => {
    for (const event of events) renderer.onEvent({ ...event, at: Date.now() });
  };
  tell(started(...ids.map((id) => node(id))), start('a'));
  const shown = (): string[] => screen.lines.filter((line) => line !== '');
  return { screen, renderer, tell, shown };
}

for (const columns of [20, 80, 200]) {
  test(`a page replaces the one before, below what is logged, and the last stays in ${columns} columns`, () => {
    const { screen, renderer, tell, shown } = viewOf(['a'], columns);
    const long = 'x'.repeat(300);
    tell(page({ name: 'cluster', text: long }, { name: 'pod', text: '\u001B[2Jwild', tone: 'bad' }));
    assert.equal(shown(), [`cluster  ${'x'.repeat(columns - 11)}…`, 'pod      wild']);
    tell(output('a', 'a line'), page({ name: 'cluster', text: 'gone' }));
    assert.equal(shown(), ['a line', 'cluster  gone']);
    tell({ type: 'run-stopping', reason: { type: 'signal', signal: 'SIGINT' } }, done('a'));
    renderer.close?.();
    // Long lines of the log wrap.
    const all = 'alinestoppingonSIGINT;oncemorekillswhatisstillrunningclustergone';
    assert.is(shown().join('').replaceAll(' ', ''), all);
    assert.is(screen.cursor.column, 0);
  });
}

test('rows without room are counted, and a page that gets smaller leaves no remains', () => {
  const { screen, renderer, tell, shown } = viewOf(['a'], 40, 6);
  const rows = Array.from({ length: 9 }, (_, index) => ({ name: `${index}`, text: 'row' }));
  tell(page(...rows));
  assert.equal(shown(), ['0  row', '1  row', '2  row', '3  row', 'and 5 more']);
  screen.columns = 10;
  tell(page({ name: '0', text: 'row' }));
  assert.equal(shown(), ['0  row']);
  renderer.close?.();
  assert.equal(shown(), []);
});

test('beside other tasks, a page is between them and the counts', () => {
  const { renderer, tell, shown } = viewOf(['a', 'b'], 80);
  tell(page({ name: 'cluster', text: 'running' }));
  assert.match(shown()[0] ?? '', /^\S a /);
  assert.equal(shown().slice(1), ['cluster  running', '  0 of 2 done, 1 running, next: b']);
  tell(done('a'));
  assert.match(shown().join('\n'), /^cluster {2}running\n\S a /, 'the last page stays');
  renderer.close?.();
});

test('stdout gets every page if it is not a terminal', () => {
  for (const [log, mode] of [
    [logOf(), 'auto'],
    [logOf(), 'grouped'],
    [logOf(), 'prefixed'],
    [Object.assign(logOf(true), { isPiped: true }), 'auto'],
  ] as const) {
    const rows = (cluster: string) => page({ name: 'cluster', text: cluster }, { name: '', text: 'now' });
    rendered(mode, [rows('absent'), rows('running')], { terminal: log, nodes: 1 });
    assert.is(log.results, 'cluster  absent\n         now\ncluster  running\n         now\n');
  }
});

test.run();
