import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { driven, rig, useRig } from '../rig/rig.ts';

useRig(test);

test('a signal reaches every child and grandchild, and the cleanups run', async () => {
  const run = rig.run([
    driven('a', { cleanup: rig.command('cleanup-a') }),
    driven('b', { cleanup: rig.command('cleanup-b') }),
    driven('top', { needs: ['a', 'b'] }),
  ]);
  const [a, b] = await Promise.all([rig.next('a'), rig.next('b')]);
  a.spawn('grandchild');
  const grandchild = await rig.next('grandchild');
  await grandchild.trap('SIGQUIT');
  run.kill('SIGQUIT');
  await grandchild.signalled('SIGQUIT');
  await Promise.all([a.ended, b.ended]);
  await grandchild.exit();
  for (const cleanup of [rig.next('cleanup-a'), rig.next('cleanup-b')]) {
    void cleanup.then((invocation) => invocation.exit());
  }
  assert.is(await run.exit, 131);
  assert.not(rig.hasStarted('top'));
  assert.equal(await rig.survivors(), []);
  assert.match(run.stderr, 'stopping on SIGQUIT');
});

for (const [how, signals, level, code] of [
  // Another signal than the first: the same one again so soon would count as its echo.
  ['by a second signal', ['SIGINT', 'SIGTERM'], '0', 130],
  // A run inside a run is in more of a hurry: 4 levels down the first grace time is 0.6 s instead of 10 s.
  ['in the end, without a second signal', ['SIGTERM'], '4', 143],
] as const)
  test(`children and grandchildren that ignore the signal and SIGTERM are killed ${how}`, async () => {
    const run = rig.run([driven('deaf')], ['deaf'], { TASK_RUNNER_LEVEL: level });
    const deaf = await rig.next('deaf');
    deaf.spawn('grandchild');
    const both = [deaf, await rig.next('grandchild')];
    for (const one of both) for (const signal of ['SIGINT', 'SIGTERM'] as const) await one.trap(signal);
    for (const signal of signals) {
      run.kill(signal);
      if (signal === signals[0]) await Promise.all(both.map((one) => one.signalled(signal)));
    }
    await Promise.all(both.map((one) => one.ended));
    assert.is(await run.exit, code);
    assert.equal(await rig.survivors(), []);
  });

test('a signal while a cleanup runs kills its children, and the next cleanup still runs', async () => {
  const run = rig.run([
    driven('a', { cleanup: rig.command('cleanup-a') }),
    driven('b', { needs: ['a'], cleanup: rig.command('cleanup-b') }),
  ]);
  await (await rig.next('a')).exit();
  const b = await rig.next('b');
  run.kill('SIGTERM');
  await b.ended;
  const cleanup = await rig.next('cleanup-b');
  for (const signal of ['SIGTERM', 'SIGINT'] as const) await cleanup.trap(signal);
  run.kill('SIGINT');
  await cleanup.ended;
  await (await rig.next('cleanup-a')).exit();
  assert.is(await run.exit, 143);
  assert.equal(await rig.survivors(), []);
  assert.match(run.stderr, 'cleaning up failed');
});

test('cleanups run in reverse order and get the outcome', async () => {
  const run = rig.run([
    { name: 'a', cleanup: rig.command('cleanup-a') },
    driven('b', { needs: ['a'], cleanup: rig.command('cleanup-b') }),
  ]);
  await (await rig.next('b')).exit(3);
  const cleanup = await rig.next('cleanup-b');
  assert.equal(cleanup.words, ['failed']);
  assert.not(rig.hasStarted('cleanup-a'));
  await cleanup.exit();
  await (await rig.next('cleanup-a')).exit();
  assert.is(await run.exit, 3);
});

test('a reader that has stopped reading the log does not keep a run from ending', async () => {
  const run = rig.run([driven('loud', { cleanup: rig.command('cleanup') })]);
  const loud = await rig.next('loud');
  run.child.stderr?.pause();
  // Not awaited: it is only through when somebody has read it.
  void loud.print(`${'x'.repeat(999)}\n`.repeat(16_000)).catch(() => {});
  // Answered when that is on its way.
  await loud.environment('HOME');
  run.kill('SIGTERM');
  await loud.ended;
  await (await rig.next('cleanup')).exit();
  run.child.stderr?.resume();
  assert.is(await run.exit, 143);
  assert.not.match(run.stderr, 'given up');
});

test('the run stops as on a hang-up if stderr loses its reader', async () => {
  const run = rig.run([driven('a')]);
  const a = await rig.next('a');
  run.child.stderr?.destroy();
  a.say('one\n');
  await a.ended;
  assert.is(await run.exit, 129);
  assert.equal(await rig.survivors(), []);
});

test.run();
