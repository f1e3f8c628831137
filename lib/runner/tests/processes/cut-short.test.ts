import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../ground/project.ts';
import { processStartTime } from '../../process-identity.ts';
import { bundled, type Ended, runFile } from '../rig/ended.ts';
import { driven, folder, rig, useRig } from '../rig/rig.ts';

/* Runs that end in another way than by the end of their tasks. */

useRig(test);
let runner = '';
let files = 0;
test.before(async () => {
  runner = await bundled(join(root, 'lib', 'runner', 'runner.ts'));
});
test.before.each(() => writeFileSync(join(folder, 'package.json'), '{"type":"module"}'));

const usual = 'process.exitCode = await runCli(tasks, process.argv.slice(2));';

/** A file of tasks; `last` is what it ends with. */
function fileOf(body: string, last = usual): string {
  files += 1;
  const file = join(folder, `${files}-tasks.js`);
  const head = `
    import { spawn } from 'node:child_process';
    import { createServer } from 'node:http';
    import { Worker } from 'node:worker_threads';
    import { runCli, task, TaskError } from '${runner}';
    const named = (name, more) => task({ description: 'd', commands: () => [], name, ...more });`;
  writeFileSync(file, `${head}\n${body}\n${last}\n`);
  return file;
}

const run = (body: string, last?: string): Promise<Ended> =>
  runFile(process.execPath, [fileOf(body, last), 'top'], folder);

/** Runs the line in bash, `$0` being the file. */
const inShell = (file: string, line: string): Promise<Ended> =>
  runFile('bash', ['-c', line.replace('$0', `"${process.execPath}" "${file}"`)], folder);

const top = (more: string): string => `const tasks = [named('top', { ${more} })];`;
const then = '.then((code) => { process.exitCode = code; });';

test('a task whose promise never settles fails when nothing is left that could settle it; finalisers and cleanups run', async () => {
  const body = `
    const remove = named('remove', { commands: () => ['echo removed'] });
    const stuck = named('stuck', {
      finally: [remove],
      run: async ({ $, onRunEnd }) => { onRunEnd(() => { console.error('cleaned up'); }); await $\`true\`; await new Promise(() => {}); },
    });
    const tasks = [stuck, named('top', { needs: [stuck] })];`;
  for (const last of [undefined, `runCli(tasks, process.argv.slice(2))${then}`]) {
    const { exitCode, stderr } = await run(body, last);
    assert.is(exitCode, 1, stderr);
    const error =
      /error: task `stuck` waits for something that never comes\n(.*\n)*? {2}task: top → stuck \(/;
    for (const text of [error, 'removed\n', 'cleaned up\n']) assert.match(stderr, text);
  }
});

const late = (what: string): string => `run: () => { setTimeout(() => { ${what}; }, 300); }`;
const exited = (code: number): string =>
  `error: \`process.exit(${code})\` was called, but the run has not ended\n`;
const busy = 'for (const until = performance.now() + 50; performance.now() < until; );';

for (const [body, expected, shown, last] of [
  ['run: () => process.exit(0)', 1, exited(0)],
  ['run: () => process.exit(7)', 7, exited(7)],
  [late("throw new Error('too late')"), 1, /error: Internal error: too late\n(?! +at )/],
  [late("Promise.reject(new TaskError({ what: 'no', why: 'y' }))"), 1, 'error: no\n  why: y\n'],
  // Although nothing interrupts it.
  [`timeoutMs: 1, run: () => { ${busy} }`, 124, 'did not end within'],
  ['/* and then */', 0, /^$/, "await runCli(tasks, ['top']); process.exit(0);"],
  [
    '/* and its options never come */',
    1,
    'error: nothing is left to wait for, but the run has not ended\n',
    `runCli(tasks, ['top'], { resolve: () => new Promise(() => {}) })${then}`,
  ],
] as const)
  test(`ends with ${expected}: ${body} ${last ?? ''}`, async () => {
    const { exitCode, stderr } = await run(top(body), last);
    assert.is(exitCode, expected, stderr);
    assert.match(stderr, shown);
  });

test('a command that a task starts after its end is an error that says so', async () => {
  const { exitCode, stderr } = await run(`
    const early = named('early', { run: ({ $ }) => { setTimeout(() => $\`echo late\`, 20); } });
    const tasks = [early, named('top', { needs: [early], commands: () => ['sleep 600'] })];`);
  assert.is(exitCode, 1, stderr);
  assert.match(stderr, 'error: task `early` starts a command after it has ended\n');
  assert.match(stderr, /do: `await` all of it in `run`, see \S*tasks\.js:\d+\n/);
});

test('losing a result to a full disk is a failure, losing its reader is not', async () => {
  const file = fileOf(top("run: ({ print }) => print('result')"));
  for (const words of ['top', 'list']) {
    const { exitCode, stderr } = await inShell(file, `$0 ${words} > /dev/full`);
    assert.is(exitCode, 1, stderr);
    assert.match(stderr, /error: cannot write all results\n {2}why: ENOSPC/);
  }
  const closed = await inShell(file, 'set -o pipefail; $0 top | true');
  assert.equal([closed.exitCode, closed.stderr], [0, '']);
});

test('a log that the disk does not take makes the run a failure, whose code is that of a failed task', async () => {
  for (const [command, expected] of [
    ['true', 1],
    ['sleep 0.1; exit 7', 7],
  ] as const) {
    const file = fileOf(top(`run: ({ $, log }) => { log('line'); return $\`${command}\`; }`));
    for (const words of ['2> /dev/full', '> /dev/full 2>&1'])
      assert.is((await inShell(file, `$0 top ${words}`)).exitCode, expected, command);
  }
});

const stay = 'setInterval(() => {}, 1000);';

test('what tasks have left open does not keep the process, whatever the outcome, and is named', async () => {
  const cases = [
    [`run: () => { createServer().listen(0); ${stay} ${stay} }`, 0, 'TCPServerWrap, Timeout, Timeout'],
    [`run: () => { new Worker('${stay}', { eval: true }); }`, 0, 'a worker'],
    [`timeoutMs: 1, run: () => new Promise(() => { ${stay} })`, 124, 'Timeout'],
    [`check: () => new Promise(() => { ${stay} process.kill(process.pid, 'SIGTERM'); })`, 143, 'Timeout'],
  ] as const;
  // Together, since each is given 2 seconds.
  const last = "process.exitCode = await runCli(tasks, ['top', '--verbose']);";
  const ends = cases.map(([definition]) => run(top(definition), last));
  for (const [index, { exitCode, stderr }] of (await Promise.all(ends)).entries()) {
    const [, expected, named = ''] = cases[index] ?? [];
    assert.is(exitCode, expected, stderr);
    const warning = stderr.split('\n').find((line) => line.startsWith('warning'));
    const [text, things] = warning?.split(': ').slice(1) ?? [];
    assert.is(text, 'ended although something was still open');
    assert.equal(things?.split(', ').sort(), named.split(', ').sort());
  }
});

test('a process left by a task ends with the run, and no output is lost', async () => {
  const print = "print(String(spawn('sleep', ['600']).pid)); print('x'.repeat(900_000));";
  const { exitCode, stdout, stderr } = await run(top(`run: ({ print }) => { ${print} }`));
  assert.is(exitCode, 0);
  assert.is(stderr, '', 'only --verbose names it');
  const [pid, text] = stdout.split('\n');
  assert.is(text?.length, 900_000);
  assert.is(await processStartTime(Number(pid)), undefined);
});

/* Signals, and readers of the log that go away. */

for (const [how, signals, level, code] of [
  // Another signal than the first: the same one again so soon would count as its echo.
  ['by a second signal', ['SIGINT', 'SIGTERM'], '0', 130],
  // A run inside a run is in more of a hurry: 4 levels down the first grace time is 0.6 s instead of 10 s.
  ['in the end, without a second signal', ['SIGQUIT'], '4', 131],
] as const)
  test(`a signal reaches every child and grandchild; those that ignore it and SIGTERM are killed ${how}`, async () => {
    const tasks = [driven('a', { cleanup: rig.command('cleanup') }), driven('b')];
    const top = driven('top', { needs: ['a', 'b'] });
    const run = rig.run([...tasks, top], ['top'], { TASK_RUNNER_LEVEL: level });
    const [a, b] = await Promise.all([rig.next('a'), rig.next('b')]);
    a.spawn('grandchild');
    const all = [a, b, await rig.next('grandchild')];
    for (const one of all) for (const signal of ['SIGTERM', ...signals] as const) await one.trap(signal);
    for (const signal of signals) {
      run.kill(signal);
      if (signal === signals[0]) await Promise.all(all.map((one) => one.signalled(signal)));
    }
    await Promise.all(all.map((one) => one.ended));
    await rig.pass('cleanup');
    await run.ends(code);
    assert.not(rig.hasStarted('top'));
    assert.match(run.stderr, `stopping on ${signals[0]}`);
  });

test('a signal while a cleanup runs kills its children, and the next cleanup still runs', async () => {
  const run = rig.run([
    driven('a', { cleanup: rig.command('cleanup-a') }),
    driven('b', { needs: ['a'], cleanup: rig.command('cleanup-b') }),
  ]);
  await rig.pass('a');
  const b = await rig.next('b');
  run.kill('SIGTERM');
  await b.ended;
  const cleanup = await rig.next('cleanup-b');
  assert.equal(cleanup.words, ['interrupted']);
  assert.not(rig.hasStarted('cleanup-a'));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) await cleanup.trap(signal);
  run.kill('SIGINT');
  await cleanup.ended;
  await rig.pass('cleanup-a');
  await run.ends(143);
  assert.match(run.stderr, 'cleaning up failed');
});

test('a reader that has stopped reading the log does not keep a run from ending', async () => {
  const run = rig.run([driven('loud', { cleanup: rig.command('cleanup') })]);
  const loud = await rig.next('loud');
  run.child.stderr?.pause();
  loud.say(`${'x'.repeat(999)}\n`.repeat(16_000));
  // Answered when that is on its way.
  await loud.environment('HOME');
  run.kill('SIGTERM');
  await loud.ended;
  await rig.pass('cleanup');
  run.child.stderr?.resume();
  await run.ends(143);
  assert.not.match(run.stderr, 'given up');
});

test('the run stops as on a hang-up if stderr loses its reader', async () => {
  const run = rig.run([driven('a')]);
  const a = await rig.next('a');
  run.child.stderr?.destroy();
  a.say('one\n');
  await a.ended;
  await run.ends(129);
});

test.run();
