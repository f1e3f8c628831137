import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { folder, type RigTask, type RunnerProcess, rig, useRig } from '../rig/rig.ts';

useRig(test);

const ok = (name: string, more: Partial<RigTask> = {}): RigTask => ({
  name,
  commands: [`echo ${name}`],
  ...more,
});
const driven = (name: string, more: Partial<RigTask> = {}): RigTask => ({
  name,
  commands: [rig.command(name)],
  ...more,
});
/** `c` fails as long as there is no file `good`. */
const gated = (name: string, more: Partial<RigTask> = {}): RigTask => ({
  name,
  commands: [`test -e ${folder}/good`],
  ...more,
});
const chain = (): RigTask[] => [
  ok('a'),
  ok('b', { needs: ['a'] }),
  gated('c', { needs: ['b'] }),
  ok('top', { needs: ['c'] }),
];

async function ends(
  tasks: readonly RigTask[],
  args: readonly string[],
  code: number,
): Promise<RunnerProcess> {
  const run = rig.run(tasks, args);
  assert.is(await run.exit, code, run.stderr);
  return run;
}

const repair = (): Promise<void> => writeFile(join(folder, 'good'), '');

test('what the last run had done is left out, and each task says so', async () => {
  await ends(chain(), ['top'], 1);
  await repair();
  const run = await ends(chain(), ['top', '--resume', '--explain'], 0);
  assert.match(run.stderr, '✓ a was done by the last run\n✓ b was done by the last run\n');
  assert.match(run.stderr, 'c runs: the last run did not get it done\n');
  assert.match(run.stderr, /done: 4 tasks in .*, 2 resumed\n/);
  assert.not.match(run.stderr, "$ sh -c 'exec echo a'");
});

test('a run that is resumed and fails again is resumed where that one ended', async () => {
  const tasks = [
    ...chain().slice(0, 3),
    gated('d', { needs: ['c'], commands: [`test -e ${folder}/better`] }),
  ];
  await ends(tasks, ['d'], 1);
  await repair();
  await ends(tasks, ['d', '--resume'], 1);
  await writeFile(join(folder, 'better'), '');
  const run = await ends(tasks, ['d', '--resume'], 0);
  assert.match(run.stderr, /done: 4 tasks in .*, 3 resumed\n/);
});

test('a killed run is resumed, also with its lock', async () => {
  const tasks = [ok('a'), driven('b', { needs: ['a'], lock: true }), driven('c', { needs: ['b'] })];
  const env = { RIG_LOCK: join(folder, 'lock') };
  const first = rig.run(tasks, ['c'], env);
  await (await rig.next('b')).exit();
  await rig.next('c');
  first.kill('SIGKILL');
  await first.exit;
  const second = rig.run(tasks, ['c', '--resume'], env);
  await (await rig.next('c')).exit();
  assert.is(await second.exit, 0);
  assert.not(rig.hasStarted('b'));
  assert.match(second.stderr, /done: 3 tasks in .*, 2 resumed\n/);
});

test('with a lock, resuming waits for the run at work; without, it is an error', async () => {
  const tasks = [ok('a', { lock: true }), driven('b', { needs: ['a'] })];
  const env = { RIG_LOCK: join(folder, 'lock') };
  const first = rig.run(tasks, ['b'], env);
  const b = await rig.next('b');
  const waiting = rig.run(tasks, ['b', '--resume'], env);
  await waiting.says('waiting for run of b by pid');
  const plain = [ok('a'), driven('b', { needs: ['a'] })];
  const error = await ends(plain, ['b', '--resume'], 2);
  assert.match(
    error.stderr,
    /nothing to resume yet: the last run of `b`, since \d\d:\d\d, is still at work\n {2}why: it is pid \d+/,
  );
  await b.exit(3);
  assert.is(await first.exit, 3);
  await (await rig.next('b')).exit();
  assert.is(await waiting.exit, 0);
  assert.match(waiting.stderr, 'a was done by the last run');
});

test('there has to be something to resume', async () => {
  const never = await ends(chain(), ['top', '--resume'], 2);
  assert.match(
    never.stderr,
    /nothing to resume: no earlier run of `top`.*\n {2}do: run it without `--resume`/,
  );
  await repair();
  await ends(chain(), ['top'], 0);
  const good = await ends(chain(), ['top', '--resume'], 2);
  assert.match(good.stderr, /nothing to resume: the last run of `top`, since \d\d:\d\d, succeeded/);
});

test('another task, other arguments and other options are another request', async () => {
  const tasks = [ok('a'), gated('b', { needs: ['a'], passThrough: true })];
  await ends(tasks, ['b', '--', 'x'], 1);
  for (const args of [['b'], ['b', '--', 'y'], ['b', '--environment', 'production', '--', 'x']])
    await ends(tasks, ['--resume', ...args], 2);
  const same = await ends(tasks, ['b', '--resume', '--jobs', '1', '--verbose', '--', 'x'], 1);
  assert.match(same.stderr, 'a was done by the last run');
});

test('tasks that were declared differently run again, and so does what needs them', async () => {
  await ends(chain(), ['top'], 1);
  await repair();
  const [a, ...rest] = chain();
  const tasks = [{ ...a, name: 'a', commands: ['echo A'] }, ...rest];
  const run = await ends(tasks, ['top', '--resume', '--explain'], 0);
  assert.match(run.stderr, 'a runs: it was declared differently in the last run');
  assert.match(run.stderr, 'b runs: a, which it needs, runs again');
});

test('a task that was begun again and not finished is not done any more', async () => {
  const tasks = (text: string): RigTask[] => [
    ok('a', { commands: [`echo ${text}`] }),
    driven('b', { needs: ['a'] }),
    driven('c', { needs: ['b'] }),
  ];
  const first = rig.run(tasks('one'), ['c']);
  await (await rig.next('b')).exit();
  await (await rig.next('c')).exit(3);
  assert.is(await first.exit, 3);
  const second = rig.run(tasks('two'), ['c', '--resume']);
  await (await rig.next('b')).exit(4);
  assert.is(await second.exit, 4);
  const third = rig.run(tasks('two'), ['c', '--resume']);
  await (await rig.next('b')).exit();
  await (await rig.next('c')).exit();
  assert.is(await third.exit, 0);
  assert.match(third.stderr, /, 1 resumed\n/);
});

test('what ended with the last run is done again, and what used it is not', async () => {
  const tasks = [
    ok('tunnel', { cleanup: 'echo closed' }),
    ok('server', { commands: ["sh -c 'echo up; exec sleep 1000'"], ready: { log: 'up' } }),
    ok('fill', { needs: ['tunnel', 'server'] }),
    gated('check', { needs: ['fill'] }),
  ];
  await ends(tasks, ['check'], 1);
  const run = await ends(tasks, ['check', '--resume', '--explain'], 1);
  assert.match(run.stderr, 'tunnel runs: what it made went with the last run');
  assert.match(run.stderr, 'server runs: it does not outlast a run');
  assert.match(run.stderr, 'fill was done by the last run');
});

test('a task with inputs is judged by them, not by the journal', async () => {
  const source = join(folder, 'source');
  await writeFile(source, '1');
  const tasks = [
    ok('build', { inputs: [source] }),
    ok('use', { needs: ['build'] }),
    gated('top', { needs: ['use'] }),
  ];
  await ends(tasks, ['top'], 1);
  const same = await ends(tasks, ['top', '--resume'], 1);
  assert.match(same.stderr, '✓ build is up to date\n✓ use was done by the last run\n');
  await writeFile(source, '2');
  const changed = await ends(tasks, ['top', '--resume', '--explain'], 1);
  assert.match(changed.stderr, 'build runs: ');
  assert.match(changed.stderr, 'use runs: build, which it needs, runs again');
});

test('nothing is resumed after another run that held the same lock', async () => {
  const env = { RIG_LOCK: join(folder, 'lock') };
  const tasks = [ok('a', { lock: true }), gated('b', { needs: ['a'] }), ok('destroy', { lock: true })];
  for (const task of ['b', 'destroy']) await rig.run(tasks, [task], env).exit;
  const run = rig.run(tasks, ['b', '--resume'], env);
  assert.is(await run.exit, 2);
  assert.match(
    run.stderr,
    /nothing to resume: `destroy` was run since, at \d\d:\d\d\n {2}why: it held the same lock/,
  );
  // A run inside the run itself does nothing behind its back.
  const inner = `${process.execPath} ${rig.program} destroy`;
  const nesting = [...tasks, { name: 'nesting', needs: ['a'], plain: true, commands: [inner, 'false'] }];
  assert.is(await rig.run(nesting, ['nesting'], env).exit, 1);
  const resumed = rig.run(nesting, ['nesting', '--resume'], env);
  assert.is(await resumed.exit, 1, resumed.stderr);
});

test('--resume goes with neither --force, --watch nor --dry-run', async () => {
  for (const other of ['--force', '--watch', '--dry-run']) {
    const run = await ends(chain(), ['top', '--resume', other], 2);
    assert.match(run.stderr, /error: `--.*` and `--resume` exclude each other/);
  }
});

test('a memory that cannot be written is no failure', async () => {
  await writeFile(join(folder, 'file'), '');
  const run = rig.run([ok('a'), ok('b', { needs: ['a'], inputs: [join(folder, 'file')] })], ['b'], {
    RIG_MEMORY: join(folder, 'file', 'memory'),
  });
  assert.is(await run.exit, 0, run.stderr);
  assert.not(existsSync(join(folder, 'memory')));
});

test.run();
