import { PassThrough, Writable } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BackPressure } from '../../back-pressure.ts';

/** Takes what is written only when it is told to. */
function stuckTarget(): { readonly target: Writable; readonly drain: () => void } {
  const waiting: (() => void)[] = [];
  const target = new Writable({ write: (_chunk, _encoding, done) => void waiting.push(done) });
  return {
    target,
    drain: () => {
      for (let done = waiting.shift(); done !== undefined; done = waiting.shift()) done();
    },
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('pauses sources while too much waits, including later ones, and resumes them afterwards', async () => {
  const pressure = new BackPressure();
  const { target, drain } = stuckTarget();
  const [early, late] = [new PassThrough(), new PassThrough()];
  for (const source of [early, late]) source.resume();
  pressure.watch(early);
  target.write(Buffer.alloc(1000));
  pressure.note(target);
  assert.not(early.isPaused());
  target.write(Buffer.alloc(1 << 20));
  pressure.note(target);
  assert.ok(early.isPaused() && pressure.holds(early));
  pressure.watch(late);
  assert.ok(late.isPaused());
  drain();
  await turn();
  assert.not(early.isPaused());
  assert.not(late.isPaused());
  assert.not(pressure.holds(early));
});

test('a source that somebody else has paused stays paused', async () => {
  const pressure = new BackPressure();
  const { target, drain } = stuckTarget();
  const source = new PassThrough();
  source.pause();
  pressure.watch(source);
  target.write(Buffer.alloc(1 << 20));
  pressure.note(target);
  drain();
  await turn();
  assert.ok(source.isPaused());
});

test('a closed target pauses no source', async () => {
  const pressure = new BackPressure();
  const { target } = stuckTarget();
  const source = new PassThrough();
  source.resume();
  pressure.watch(source);
  target.write(Buffer.alloc(1 << 20));
  pressure.note(target);
  target.destroy();
  await turn();
  assert.not(source.isPaused());
});

test('a stopping run reads everything and drops what it cannot write', () => {
  const pressure = new BackPressure();
  const { target } = stuckTarget();
  const source = new PassThrough();
  source.resume();
  pressure.watch(source);
  target.write(Buffer.alloc(1 << 20));
  pressure.note(target);
  assert.not(pressure.overflows(target));
  pressure.release();
  assert.not(source.isPaused());
  target.write(Buffer.alloc(2 << 20));
  pressure.note(target);
  assert.not(source.isPaused());
  assert.ok(pressure.overflows(target));
});

test.run();
