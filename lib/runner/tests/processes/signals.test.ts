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

test('a second signal kills children and grandchildren that ignore all others', async () => {
  const run = rig.run([driven('deaf')]);
  const deaf = await rig.next('deaf');
  deaf.spawn('grandchild');
  const grandchild = await rig.next('grandchild');
  for (const invocation of [deaf, grandchild]) {
    await invocation.trap('SIGINT');
    await invocation.trap('SIGTERM');
  }
  run.kill('SIGINT');
  await Promise.all([deaf.signalled('SIGINT'), grandchild.signalled('SIGINT')]);
  // Another signal than the first: the same one again so soon would count as its echo.
  run.kill('SIGTERM');
  await Promise.all([deaf.ended, grandchild.ended]);
  assert.is(await run.exit, 130);
  assert.equal(await rig.survivors(), []);
});

test('children that ignore the signal and SIGTERM are killed in the end, without a second signal', async () => {
  // A run inside a run is in more of a hurry: 4 levels down the first grace time is 0.6 s instead of 10 s.
  const run = rig.run([driven('deaf')], ['deaf'], {
    TASK_RUNNER_LEVEL: '4',
  });
  const deaf = await rig.next('deaf');
  deaf.spawn('grandchild');
  const grandchild = await rig.next('grandchild');
  for (const invocation of [deaf, grandchild]) await invocation.trap('SIGTERM');
  run.kill('SIGTERM');
  await Promise.all([deaf.ended, grandchild.ended]);
  assert.is(await run.exit, 143);
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
