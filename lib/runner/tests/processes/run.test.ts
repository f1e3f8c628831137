import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { driven, folder, type RigTask, rig, useRig } from '../rig/rig.ts';

useRig(test);

test('a time limit ends the whole group and gives 124', async () => {
  const group = `sh -c '${rig.command('grandchild')} & exec ${rig.command('slow')}'`;
  const commands = ['echo loading', group];
  const { stderr } = await rig.run([{ name: 'slow', timeoutMs: 4000, commands }]).ends(124);
  assert.match(stderr, 'task `slow` did not end within 4.0s\n  why: it last said: loading\n');
  assert.not.match(stderr, 'given up');
});

test('what a task leaves in the background ends with the task, not with the command', async () => {
  const run = rig.run([
    { name: 'server', commands: [`sh -c '${rig.command('background')} & exit 0'`, rig.command('next')] },
    driven('after', { needs: ['server'] }),
  ]);
  const background = await rig.next('background');
  const next = await rig.next('next');
  assert.ok((await rig.survivors()).includes(background.pid));
  await next.exit();
  const after = await rig.next('after');
  assert.equal(await rig.survivors(), [after.pid]);
  await after.exit();
  await run.ends(0);
});

test('secrets are hidden in output, commands, errors, events and reports, cut in two or printed before', async () => {
  const [secret, late] = ['correct horse battery', 'staple'];
  const leaking = { secrets: [secret, late], commands: [`${rig.command('leak')} '${secret}'`], retries: 1 };
  const files = ['run.html', 'trace.json'].map((name) => join(folder, name));
  const [page = '', slices = ''] = files;
  const words = ['leak', '--output', 'json', '--report', page, '--trace', slices];
  const run = rig.run([driven('early'), { name: 'leak', ...leaking, needs: ['early'] }], words);
  const early = await rig.next('early');
  await early.print(`it is ${late}\n`);
  await early.exit();
  const leak = await rig.next('leak');
  await leak.print('the secret is correct hor');
  await leak.print('se battery\n');
  await leak.print(`${Buffer.from(`x=${secret}`).toString('base64')}\n`);
  await leak.print(`failed: ${secret}\n`, 'stderr');
  await leak.exit(1);
  await rig.next('leak');
  run.kill('SIGTERM');
  await run.ends(143);
  const [html, trace] = [readFileSync(page, 'utf8'), readFileSync(slices, 'utf8')];
  assert.match(html, 'it is ***');
  assert.match(trace, '"outcome":"interrupted"');
  for (const text of [run.stderr, html]) {
    assert.match(text, 'the secret is ***');
    assert.match(text, 'failed: ***');
  }
  for (const word of ['correct', 'battery', Buffer.from(secret).toString('base64').slice(4, 20)])
    for (const text of [run.stderr, html, trace]) assert.not.match(text, word);
  assert.not.match(html, late);
});

test('an unexpected error is shown as a bug, its stack only with --verbose', async () => {
  for (const words of [['broken'], ['broken', '--verbose']]) {
    const { stderr } = await rig.run([{ name: 'broken', behaviour: 'bug' }], words).ends(1);
    assert.match(stderr, 'error: Internal error: a bug');
    assert.is(stderr.includes('tasks.ts:'), words.length > 1);
  }
});

test('a dry run prints the plain commands of all needs to paste, and does nothing', async () => {
  const a = { name: 'a', commands: ['first command', 'second command'], lock: true };
  const more = { needs: ['a'], confirm: 'really?', ready: { log: 'up' } };
  const b = { name: 'b', commands: ['third', 'serve'], ...more };
  const words = ['b', '--dry-run', '--report', join(folder, 'run.html')];
  const run = await rig.run([a, b], words, { RIG_LOCK: '/nonexistent/lock' }).ends(0);
  assert.is(run.stdout, 'first command\nsecond command\nthird\nserve &\n');
  assert.is(run.stderr, '');
  assert.not(existsSync(join(folder, 'run.html')));
});

test('folder and variables of the configuration are those of plain commands, a `run` gives its own', async () => {
  const env = { PATH: process.env.PATH ?? '', COLOUR: 'green' };
  for (const [task, colour, other] of [
    [{ plain: true }, 'blue', 'inherited'],
    [{ explicit: { cwd: folder, env } }, 'green', null],
  ] as const) {
    const shell = { RIG_SHELL: JSON.stringify({ cwd: folder, COLOUR: 'blue' }) };
    const run = rig.run([driven('a', task)], ['a'], { COLOUR: 'red', OTHER: 'inherited', ...shell });
    const a = await rig.next('a');
    assert.is(await a.environment('PWD'), realpathSync(folder));
    assert.is(await a.environment('COLOUR'), colour);
    assert.is(await a.environment('OTHER'), other);
    await a.exit();
    await run.ends(0);
  }
});

test('a stop ends the wait before another attempt', async () => {
  const run = rig.run([driven('flaky', { retries: 9, retryDelayMs: 3_600_000 })]);
  await (await rig.next('flaky')).exit(3);
  await run.says('attempt 1 of 10 failed');
  run.kill('SIGTERM');
  await run.ends(143);
});

/* Codes that the tests of signals, confirmations, failures and long-running processes do not show. */
for (const [name, code, task] of [
  ['a time limit above that of a timer of Node', 0, { name: 'a', commands: ['true'], timeoutMs: 2 ** 40 }],
  ['a cleanup that fails', 1, { name: 'a', cleanup: 'false' }],
  ['another task of a name that the runner has', 2, { name: 'list' }],
] as const)
  test(`exit code ${code}: ${name}`, async () => {
    await rig.run([task]).ends(code);
  });

/* Several tasks in one line. */

/** `install` fails as long as there is no file `good`. */
const tasks = (): RigTask[] => [
  { name: 'tool', private: true, plain: true, commands: ['echo tool'] },
  { name: 'install', needs: ['tool'], plain: true, commands: [`test -e ${folder}/good`] },
  { name: 'prepare', plain: true, commands: ['echo prepare'] },
  { name: 'check', needs: ['tool', 'prepare'], plain: true, commands: ['echo check'] },
];

const line = ['install', ',', 'check'];

const ends = (args: readonly string[], code: number) => rig.run(tasks(), args).ends(code);

test('after a failure the later ones do not start, in any mode, and the rest can be resumed', async () => {
  const failed = await ends([...line, '--failure=continue'], 1);
  assert.match(failed.stderr, '1 failed, 1 done, 2 not started');
  assert.not.match(failed.stderr, 'echo prepare');
  const { stderr } = await ends(['check', ',', 'install', '--resume'], 2);
  assert.match(stderr, 'no earlier run of `check , install` with these arguments');
  writeFileSync(join(folder, 'good'), '');
  assert.match((await ends([...line, '--resume'], 0)).stderr, 'done: 4 tasks');
});

test('a dry run, the graph and the help are for all of them', async () => {
  const dry = await ends([...line, '-n'], 0);
  assert.is(dry.stdout, `echo tool\ntest -e ${folder}/good\necho prepare\necho check\n`);
  const drawn = JSON.parse((await ends(['graph', ...line, '--json'], 0)).stdout);
  assert.is(drawn.title, 'install , check');
  const edges = drawn.edges.map(({ from, to, kind }: { [end: string]: string }) => `${from} ${kind} ${to}`);
  assert.equal(edges, ['n0 need n1', 'n1 after n2', 'n0 need n3', 'n2 need n3']);
  const help = (await ends([...line, '--help'], 0)).stdout;
  assert.match(help, /^usage: \S+ install\n[\s\S]*\nusage: \S+ check\n/);
});

test('the whole line is checked before anything runs, and what would never come to its end is refused', async () => {
  for (const [words, what] of [
    ['install , list', 'task `list` runs nothing, and cannot stand among others'],
    ['install , graph check', 'task `graph` runs nothing'],
    ['graph', 'missing argument `<task>…`'],
    // Even for what uses no option.
    ['list --output foo', 'unknown output `foo`'],
    ['check --help --jobs x', 'expected `--jobs` to be a whole number from 1 up, got `x`'],
    ['--version=no', 'expected `--version` to be `true` or `false`, got `no`'],
    ['completion bash --force --resume', '`--force` and `--resume` exclude each other'],
  ] as const) {
    const { stdout, stderr } = await ends(words.split(' '), 2);
    assert.is(stdout, '');
    assert.ok(stderr.startsWith(`error: ${what}`), stderr);
  }
});

test.run();
