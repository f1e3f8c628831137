import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RunEventBody } from '../../events.ts';
import { liveRenderer } from '../../output/live.ts';
import { cutText, neutralLine, plainText, textWidth } from '../../output/text.ts';
import { done, failed, node, output, start, started } from '../rig/events.ts';
import { Screen } from '../rig/screen.ts';

/* Time is shown, so it stands still. */
const { now } = Date;
test.before(() => {
  Date.now = () => 0;
});
test.after(() => {
  Date.now = now;
});

function viewOf(ids: readonly string[], columns = 80, rows = 24) {
  const screen = new Screen(columns, rows);
  const renderer = liveRenderer(screen.terminal(), false);
  const tell = (...events: RunEventBody[]): void => {
    for (const event of events) renderer.onEvent({ ...event, at: Date.now() });
    // The timer draws it again, as soon as the process has time; here at once.
    process.emit('SIGWINCH');
  };
  tell(started(...ids.map((id) => node(id))));
  return { screen, renderer, tell };
}

const shown = ({ lines }: Screen): string[] => lines.filter((line) => line !== '');

test('shows running tasks with time and last line, and the progress of the run', () => {
  const { screen, renderer, tell } = viewOf(['a', 'b', 'c']);
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
  renderer.close?.();
  assert.equal(shown(screen), ['✓ a 1.2s', '✗ b 1.2s it broke', 'a result', '✓ c 1.2s']);
});

for (const [columns, expected] of [
  [40, '⠋ build 0.0s 25% 30s left package 3 of…'],
  [80, '⠋ build 0.0s ██░░░░░░░ 25% 30s left package 3 of 12'],
  [200, `⠋ build 0.0s ${'█'.repeat(6)}${'░'.repeat(18)} 25% 30s left package 3 of 12`],
] as const) {
  test(`a task that tells its share has a bar and the time left in ${columns} columns`, () => {
    const { screen, renderer, tell } = viewOf(['build', 'last', 'next'], columns);
    const told = (at: number, done: number) => {
      const share = { done, total: 12 };
      renderer.onEvent({ type: 'task-progress', id: 'build', text: `package ${done} of 12`, share, at });
    };
    tell(start('build'), start('last'));
    told(-10_000, 0);
    told(0, 3);
    tell(done('last'));
    assert.equal(screen.lines.slice(1, 3), [expected, '  1 of 3 done, 1 running, next: next']);
    renderer.close?.();
  });
}

test('the next task is the first whose needs are done', () => {
  const { screen, renderer, tell } = viewOf([]);
  const nodes = [node('a'), { ...node('b'), needs: ['a'] }, { ...node('c'), needs: ['b'] }, node('d')];
  tell(started(...nodes), start('a'));
  const counts = () => screen.lines.find((line) => line.includes(' done,'));
  assert.is(counts(), '  0 of 4 done, 1 running, next: d');
  tell(start('d'));
  assert.is(counts(), '  0 of 4 done, 2 running');
  tell(done('a'));
  assert.is(counts(), '  1 of 4 done, 1 running, next: b');
  renderer.close?.();
});

for (const columns of [1, 2, 5, 10, 20, 40]) {
  test(`nothing wraps in ${columns} columns, and all of it is erased again`, () => {
    const { screen, renderer, tell } = viewOf(['a-task-with-a-long-name', 'b'], columns);
    tell(start('a-task-with-a-long-name'), start('b'));
    const texts = [
      'x'.repeat(100),
      '日本語のとても長い行です',
      'e\u0301'.repeat(60),
      '😀'.repeat(11),
      'a\tb\tc',
    ];
    for (const text of texts) {
      tell(output('a-task-with-a-long-name', text), output('b', text));
      assert.is(screen.cursor.row, 3, text);
      for (const line of screen.lines) assert.ok(textWidth(line) < Math.max(2, columns), line);
    }
    if (columns === 20) assert.equal(screen.lines[0], '⠋ a-task-with… 0.0s');
    renderer.close?.();
    assert.equal(screen.cursor, { row: 0, column: 0 });
    assert.equal(shown(screen), []);
  });
}

test('more running tasks than lines are counted', () => {
  const ids = Array.from({ length: 40 }, (_, index) => `t${index}`);
  for (const [rows, most] of [
    [24, 11],
    [8, 4],
    [4, 1],
  ] as const) {
    const { screen, renderer, tell } = viewOf(ids, 40, rows);
    tell(...ids.map(start));
    tell(output('t0', 'x'));
    assert.is(screen.lines.filter((line) => line.startsWith('⠋')).length, most, `${rows} rows`);
    assert.match(screen.lines.join('\n'), `and ${40 - most} more`);
    assert.ok(screen.lines.length <= rows, `${rows} rows`);
    renderer.close?.();
    assert.equal(shown(screen), []);
  }
});

test('a terminal that becomes narrower or wider leaves no remains', () => {
  const { screen, renderer, tell } = viewOf(['a', 'b'], 60);
  tell(start('a'), start('b'), output('a', 'x'.repeat(300)), output('b', '日'.repeat(100)));
  for (const columns of [33, 20, 7, 50, 90, 12]) {
    screen.columns = columns;
    tell();
    assert.is(screen.lines.filter((line) => line.startsWith('⠋')).length, 2, `${columns} columns`);
    assert.is(shown(screen).length, 3, `${columns} columns`);
    for (const line of screen.lines) assert.ok(textWidth(line) < columns, line);
  }
  renderer.close?.();
  assert.equal(shown(screen), []);
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
  const { screen, renderer, tell } = viewOf(['a', 'b']);
  tell(start('a'));
  renderer.pause?.();
  assert.equal(shown(screen), []);
  screen.write('password: \n');
  tell(output('a', 'x'));
  assert.equal(shown(screen), ['password:']);
  renderer.resume?.();
  tell();
  assert.match(screen.lines.join('\n'), 'password:\n⠋ a');
});

test('colours of a child stay, and end with its line; other sequences go', () => {
  assert.is(neutralLine('plain'), 'plain');
  assert.is(neutralLine('a\u001B[1;31mb'), 'a\u001B[1;31mb\u001B[0m');
  assert.is(neutralLine('a\u001B[1mb\u001B[0m'), 'a\u001B[1mb\u001B[0m');
  assert.is(neutralLine('a\u001B[2Kb\u001B[10;10Hc\u001B(Bd\u001B7e\u0000f'), 'abcdef');
  assert.is(neutralLine('tab\tstays'), 'tab\tstays');
  assert.is(neutralLine('\u001B]8;;https://x\u001B\\link\u001B]8;;\u001B\\'), 'link');
  // What has no end is text, not a way to swallow the lines below.
  assert.is(neutralLine('\u001B]0;open'), ']0;open');
  assert.is(plainText(' \u001B[31mred\u001B[0m\t! '), 'red !');
});

test('widths: wide characters are two columns, marks none', () => {
  const widths = { abc: 3, 日本: 4, 'e\u0301': 1, '😀': 2, 한국어: 6, ｆｕｌｌ: 8, '✓│…→⠋': 5 };
  for (const [text, width] of Object.entries(widths)) assert.is(textWidth(text), width, text);
  const cuts = [cutText('日本語', 4, '…'), cutText('日本語', 6, '…'), cutText('abc', 2, '...')];
  assert.equal(cuts, ['日…', '日本語', '']);
});

test.run();
