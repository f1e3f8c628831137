import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { driven, rig, useRig } from '../rig/rig.ts';

useRig(test);

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
