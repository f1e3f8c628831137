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

test('sources are held while too much waits, also one that comes later, and read again afterwards', async () => {
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

test('a target that goes away holds nobody', async () => {
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

test('a run that stops reads everything and drops what nobody takes', () => {
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
