import { mock } from 'node:test';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RunEventBody } from '../../events.ts';
import type { OutputMode } from '../../global-options.ts';
import { createRenderer } from '../../output/renderer.ts';
import { cutText, neutralLine, plainText, textWidth } from '../../output/text.ts';
import type { PageRow } from '../../task.ts';
import { done, failed, logOf, node, output, rendered, start, started } from '../rig/events.ts';
import { Screen } from '../rig/screen.ts';

/* Time is shown, so it stands still. */
test.before(() => void mock.method(Date, 'now', () => 0));
test.after(() => mock.reset());

/** These tasks on a screen; `shown` has no empty lines. */
function viewOf(ids: readonly string[], columns = 80, rows = 24, mode: OutputMode = 'live') {
  const screen = new Screen(columns, rows);
  const more = { env: {}, redact: String };
  const renderer = createRenderer(mode, screen.terminal(), false, ids.length, more);
  const tell = (...events: RunEventBody[]): void => {
    for (const event of events) renderer.onEvent({ ...event, at: Date.now() });
    // The timer draws it again, as soon as the process has time; here at once.
    process.emit('SIGWINCH');
  };
  tell(started(...ids.map((id) => node(id))));
  const shown = (): string[] => screen.lines.filter((line) => line !== '');
  /** Nothing is left but lines that stay. */
  const close = (...left: readonly string[]): void => {
    renderer.close?.();
    assert.equal(shown(), left);
  };
  return { screen, renderer, tell, shown, close };
}

test('shows running tasks with time and last line, and the progress of the run', () => {
  const { screen, tell, close } = viewOf(['a', 'b', 'c']);
  const progress = { type: 'task-progress', id: 'b', text: '40% of 12 MiB' } as const;
  tell(start('a'), start('b'), output('a', 'building'), progress);
  const rows = ['⠋ a 0.0s building', '⠋ b 0.0s 40% of 12 MiB', '  0 of 3 done, 2 running, next: c', ''];
  assert.equal(screen.lines, rows);
  tell(done('a'), failed('b'), start('c'), { type: 'task-skipped', id: 'd', because: 'b' });
  const counts = '  1 of 3 done, 1 running, 1 failed, 1 not started';
  assert.equal(screen.lines.slice(0, 4), ['✓ a 1.2s', '✗ b 1.2s it broke', '⠋ c 0.0s', counts]);
  tell({ type: 'task-result', id: 'c', text: 'a result\n' });
  assert.equal(screen.lines[2], 'a result');
  assert.match(screen.lines[3] ?? '', '⠋ c');
  tell(done('c'));
  close('✓ a 1.2s', '✗ b 1.2s it broke', 'a result', '✓ c 1.2s');
});

for (const [columns, expected] of [
  [40, '⠋ build 0.0s 25% 30s left package 3 of…'],
  [80, '⠋ build 0.0s ██░░░░░░░ 25% 30s left package 3 of 12'],
  [200, `⠋ build 0.0s ${'█'.repeat(6)}${'░'.repeat(18)} 25% 30s left package 3 of 12`],
] as const) {
  test(`a task that tells its share has a bar and the time left in ${columns} columns`, () => {
    const { screen, renderer, tell, close } = viewOf(['build', 'last', 'next'], columns);
    tell(start('build'), start('last'));
    for (const [at, done] of [
      [-10_000, 0],
      [0, 3],
    ] as const) {
      const share = { done, total: 12 };
      renderer.onEvent({ type: 'task-progress', id: 'build', text: `package ${done} of 12`, share, at });
    }
    tell(done('last'));
    assert.equal(screen.lines.slice(1, 3), [expected, '  1 of 3 done, 1 running, next: next']);
    close('✓ last 1.2s');
  });
}

test('the next task is the first whose needs are done; finalisers come last', () => {
  const { shown, tell, close } = viewOf([]);
  const [b, c] = [
    { ...node('b'), needs: ['a'] },
    { ...node('c'), needs: ['b'] },
  ];
  const nodes = [node('a'), b, c, { ...node('remove'), late: true }, node('d')];
  tell(started(...nodes));
  for (const [event, counts] of [
    [start('a'), '0 of 5 done, 1 running, next: d'],
    [start('d'), '0 of 5 done, 2 running'],
    [done('a'), '1 of 5 done, 1 running, next: b'],
  ] as const) {
    tell(event);
    assert.is(shown().at(-1), `  ${counts}`);
  }
  close('✓ a 1.2s');
});

for (const columns of [1, 2, 5, 10, 20, 40]) {
  test(`nothing wraps in ${columns} columns, and all of it is erased again`, () => {
    const { screen, tell, close } = viewOf(['a-task-with-a-long-name', 'b'], columns);
    tell(start('a-task-with-a-long-name'), start('b'));
    const wide = '日本語のとても長い行です';
    for (const text of ['x'.repeat(100), wide, 'e\u0301'.repeat(60), '😀'.repeat(11), 'a\tb\tc']) {
      tell(output('a-task-with-a-long-name', text), output('b', text));
      assert.is(screen.cursor.row, 3, text);
      for (const line of screen.lines) assert.ok(textWidth(line) < Math.max(2, columns), line);
    }
    if (columns === 20) assert.equal(screen.lines[0], '⠋ a-task-with… 0.0s');
    close();
    assert.equal(screen.cursor, { row: 0, column: 0 });
  });
}

test('more running tasks than lines are counted', () => {
  const ids = Array.from({ length: 40 }, (_, index) => `t${index}`);
  for (const [rows, most] of [
    [24, 11],
    [8, 4],
    [4, 1],
  ] as const) {
    const { screen, tell, close } = viewOf(ids, 40, rows);
    tell(...ids.map(start));
    tell(output('t0', 'x'));
    assert.is(screen.lines.filter((line) => line.startsWith('⠋')).length, most, `${rows} rows`);
    assert.match(screen.lines.join('\n'), `and ${40 - most} more`);
    assert.ok(screen.lines.length <= rows, `${rows} rows`);
    close();
  }
});

test('a terminal that becomes narrower or wider leaves no remains', () => {
  const { screen, shown, tell, close } = viewOf(['a', 'b'], 60);
  tell(start('a'), start('b'), output('a', 'x'.repeat(300)), output('b', '日'.repeat(100)));
  for (const columns of [33, 20, 7, 50, 90, 12]) {
    screen.columns = columns;
    tell();
    assert.is(screen.lines.filter((line) => line.startsWith('⠋')).length, 2, `${columns} columns`);
    assert.is(shown().length, 3, `${columns} columns`);
    for (const line of screen.lines) assert.ok(textWidth(line) < columns, line);
  }
  close();
});

test('nothing that a child or a label holds acts on the terminal', () => {
  const links = '\u001B]0;title\u0007\u001B]52;c;eA==\u001B\\';
  const wild = `\u001B[2J\u001B[31mred${links}\u001B[?1049h\u0007\b\u009B5A!\u001Bc`;
  const { screen, tell } = viewOf([`a${wild}`]);
  tell(start(`a${wild}`), output(`a${wild}`, wild), { type: 'task-progress', id: `a${wild}`, text: wild });
  assert.match(screen.lines[0] ?? '', /^⠋ ared! 0\.0s red!$/);
  tell(done(`a${wild}`));
  assert.match(screen.lines[0] ?? '', /^✓ ared!/);
});

test('an interactive task has the terminal for itself', () => {
  const { screen, renderer, shown, tell } = viewOf(['a', 'b']);
  tell(start('a'));
  renderer.pause?.();
  assert.equal(shown(), []);
  screen.write('password: \n');
  tell(output('a', 'x'));
  assert.equal(shown(), ['password:']);
  renderer.resume?.();
  tell();
  assert.match(shown().join('\n'), /^password:\n⠋ a/);
});

test('colours of a child stay, and end with its line; other sequences go', () => {
  for (const [text, shown = text] of [
    ['plain'],
    ['a\u001B[1;31mb', 'a\u001B[1;31mb\u001B[0m'],
    ['a\u001B[1mb\u001B[0m'],
    ['a\u001B[2Kb\u001B[10;10Hc\u001B(Bd\u001B7e\u0000f', 'abcdef'],
    ['tab\tstays'],
    ['\u001B]8;;https://x\u001B\\link\u001B]8;;\u001B\\', 'link'],
    // What has no end is text, not a way to swallow the lines below.
    ['\u001B]0;open', ']0;open'],
  ] as const)
    assert.is(neutralLine(text), shown);
  assert.is(plainText(' \u001B[31mred\u001B[0m\t! '), 'red !');
});

test('widths: wide characters are two columns, marks none', () => {
  const widths = { abc: 3, 日本: 4, 'e\u0301': 1, '😀': 2, 한국어: 6, ｆｕｌｌ: 8, '✓│…→⠋': 5 };
  for (const [text, width] of Object.entries(widths)) assert.is(textWidth(text), width, text);
  const cuts = [cutText('日本語', 4, '…'), cutText('日本語', 6, '…'), cutText('abc', 2, '...')];
  assert.equal(cuts, ['日…', '日本語', '']);
});

/* Pages of tasks, which are drawn in place. */

const page = (...rows: PageRow[]): RunEventBody => ({ type: 'task-page', id: 'a', rows });

for (const columns of [20, 80, 200]) {
  test(`a page replaces the one before, below what is logged, and the last stays in ${columns} columns`, () => {
    const { screen, renderer, tell, shown } = viewOf(['a'], columns, 24, 'auto');
    const long = 'x'.repeat(300);
    tell(start('a'), page({ name: 'cluster', text: long }, { name: 'pod', text: '\u001B[2Jwild' }));
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
  const { screen, tell, shown, close } = viewOf(['a'], 40, 6, 'auto');
  tell(start('a'), page(...Array.from({ length: 9 }, (_, index) => ({ name: `${index}`, text: 'row' }))));
  assert.equal(shown(), ['0  row', '1  row', '2  row', '3  row', 'and 5 more']);
  screen.columns = 10;
  tell(page({ name: '0', text: 'row' }));
  assert.equal(shown(), ['0  row']);
  close();
});

test('beside other tasks, a page is between them and the counts', () => {
  const { tell, shown, close } = viewOf(['a', 'b']);
  tell(start('a'), page({ name: 'cluster', text: 'running' }));
  assert.equal(shown(), ['⠋ a 0.0s', 'cluster  running', '  0 of 2 done, 1 running, next: b']);
  tell(done('a'));
  close('cluster  running', '✓ a 1.2s');
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
