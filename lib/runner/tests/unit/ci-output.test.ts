import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RunEventBody } from '../../events.ts';
import { done, failed, logOf, node, output, rendered, start, started } from '../rig/events.ts';

function github(events: readonly RunEventBody[]): string[] {
  const { shown } = rendered('github', events, { env: { GITHUB_WORKSPACE: '/repository' } });
  return shown
    .replace(/\b[0-9a-f]{40}\b/g, 'token')
    .split('\n')
    .slice(0, -1);
}

test('GitHub: a task that runs alone is shown at once, in a group that is closed for what comes between', () => {
  const lines = github([
    started(node('a'), node('b')),
    ...[start('a'), output('a', 'one'), start('b'), output('b', '::two'), done('b')],
    ...[output('a', 'three'), done('a')],
  ]);
  const first = ['::group::a', 'one', '::endgroup::', '::group::b', '::two', '::endgroup::', '✓ b 1.2s'];
  const rest = ['::group::a (continued)', 'three', '::endgroup::', '✓ a 1.2s'];
  const shown = lines.filter((line) => !/token/.test(line));
  assert.equal(shown, [...first, ...rest]);
});

test('GitHub: groups never nest, and commands are on again after each one, whatever is open at the end', () => {
  const lines = github([
    started(node('a'), node('b')),
    ...[start('a'), output('a', 'one'), start('b'), output('b', 'two'), output('a', 'three')],
    { type: 'run-stopping', reason: { type: 'signal', signal: 'SIGTERM' } },
    output('a', 'four'),
  ]);
  const text = lines.map((line) => `${line}\n`).join('');
  const block = /::group::.*\n::stop-commands::token\n((?:[^:].*\n)*)::token::\n::endgroup::\n/g;
  const kept = [...text.matchAll(block)].map(([, inside]) => inside);
  assert.equal(kept.join('').trim().split('\n').sort(), ['four', 'one', 'three', 'two']);
  assert.match(text.replace(block, ''), /^stopping on SIGTERM.*\n$/);
});

test('GitHub: a failure is an annotation at the declaration of its task, escaped as GitHub documents it', () => {
  const lines = github([
    started(node('b: 50%, or so'), node('outside', '/elsewhere/x.ts'), node('odd', '/repository/a,b:c.ts')),
    ...[start('b: 50%, or so'), failed('b: 50%, or so', 'it broke: 100%, really', 'line one\r\nline two')],
    ...[start('outside'), failed('outside', 'no place'), start('odd'), failed('odd', 'x')],
  ]);
  const place = '::error file=tasks/vault.ts,line=12,title=b%3A 50%25%2C or so';
  const annotations = lines.filter((line) => line.startsWith('::error'));
  assert.equal(annotations, [
    `${place}::it broke: 100%25, really%0Aline one%0D%0Aline two`,
    '::error title=outside::no place',
    '::error file=a%2Cb%3Ac.ts,line=12,title=odd::x',
  ]);
});

// biome-ignore lint/suspicious/noControlCharactersInRegex: how GitLab reads a marker
const marker = /\u001B\[0Ksection_(start|end):(\d+):([\w.-]+)(\[collapsed=true\])?\r\u001B\[0K/g;

test('GitLab: a section for each task with a safe, unique name, collapsed when it went well', () => {
  const label = 'install app=a/b "c" ü';
  const events = [
    started(node(label), node('b')),
    ...[start(label), start('b'), output(label, 'one'), output('b', 'two'), done(label)],
    ...[output('b', 'three'), failed('b', 'no'), start(label), output(label, 'again'), done(label)],
  ];
  const { shown } = rendered('gitlab', events, { at: 1_700_000_000_000 });
  const found = [...shown.matchAll(marker)];
  const names = found.map(([, , , name]) => name);
  assert.is(new Set(names).size, 3);
  const [a, b, again] = [names[0], names[2], names[4]];
  const markers = found.map(([, kind, time, name, flag = '']) => `${kind}${flag} ${time} ${name}`);
  assert.equal(markers, [
    ...[`start[collapsed=true] 1700000000 ${a}`, `end 1700000000 ${a}`],
    ...[b, again].flatMap((name) => [`start 1700000000 ${name}`, `end 1700000000 ${name}`]),
  ]);
  assert.match(shown, `\u001B[0K${label}\none\n`);
});

for (const [name, env, isTerminal, nodes, expected] of [
  ['GitHub', { GITHUB_ACTIONS: 'true', CI: '1' }, false, 2, /^::group::a\n::stop-commands::[0-9a-f]{40}\n/],
  [
    'GitHub, a single task',
    { GITHUB_ACTIONS: 'true' },
    false,
    1,
    /^::stop-commands::(\w+)\nline\n::\1::\n✓ a .*\n$/,
  ],
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the start of a marker
  ['GitLab', { GITLAB_CI: 'true', CI: 'true' }, false, 2, /^\u001B\[0Ksection_start:/],
  ['GitLab, a single task', { GITLAB_CI: 'true' }, false, 1, /^line\n$/],
  ['GitHub on a terminal', { GITHUB_ACTIONS: 'true', CI: 'true' }, true, 2, /^→ a\n/],
  ['CI is false', { CI: 'false' }, true, 2, /^✓ a 1\.2s\n$/],
  ['a terminal', {}, true, 2, /^✓ a 1\.2s\n$/],
  ['another value', { GITHUB_ACTIONS: '1' }, false, 2, /^→ a\n/],
  ['a nested run', { GITHUB_ACTIONS: 'true', TASK_RUNNER_LEVEL: '1' }, false, 2, /^→ a\n {2}line\n/],
] as const)
  test(`how the log is shown by itself: ${name}`, () => {
    const all = [node('a'), node('b')].slice(0, nodes);
    const events = [started(...all), start('a'), output('a', 'line'), done('a')];
    process.env.TASK_RUNNER_LEVEL = 'TASK_RUNNER_LEVEL' in env ? env.TASK_RUNNER_LEVEL : '0';
    const { shown } = rendered('auto', events, { env, nodes, terminal: logOf(isTerminal) });
    delete process.env.TASK_RUNNER_LEVEL;
    assert.match(shown, expected);
  });

test.run();
