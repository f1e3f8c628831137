import { PassThrough, Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BackPressure } from '../../child-output.ts';

/** A source that is watched, and a target that gets so many bytes and takes them on request. */
function rigOf(source = new PassThrough().resume()) {
  const pressure = new BackPressure();
  const waiting: (() => void)[] = [];
  const target = new Writable({ write: (_chunk, _encoding, done) => void waiting.push(done) });
  pressure.watch(source);
  const fill = (bytes: number): void => {
    target.write(Buffer.alloc(bytes));
    pressure.note(target);
  };
  const drain = async (): Promise<void> => {
    for (let done = waiting.shift(); done !== undefined; done = waiting.shift()) done();
    await turn();
  };
  return { pressure, source, target, drain, fill };
}

test('pauses sources while too much waits, including later ones, and resumes them afterwards', async () => {
  const { pressure, source, drain, fill } = rigOf();
  const late = new PassThrough().resume();
  fill(1000);
  assert.not(source.isPaused());
  fill(1 << 20);
  assert.ok(source.isPaused() && pressure.holds(source));
  pressure.watch(late);
  assert.ok(late.isPaused());
  await drain();
  assert.not(source.isPaused() || late.isPaused() || pressure.holds(source));
});

test('a source that somebody else has paused stays paused', async () => {
  const { source, drain, fill } = rigOf(new PassThrough().pause());
  fill(1 << 20);
  await drain();
  assert.ok(source.isPaused());
});

test('a closed target pauses no source', async () => {
  const { source, target, fill } = rigOf();
  fill(1 << 20);
  target.destroy();
  await turn();
  assert.not(source.isPaused());
});

test('a stopping run reads everything and drops what it cannot write', () => {
  const { pressure, source, target, fill } = rigOf();
  fill(1 << 20);
  assert.not(pressure.overflows(target));
  pressure.release();
  assert.not(source.isPaused());
  fill(2 << 20);
  assert.not(source.isPaused());
  assert.ok(pressure.overflows(target));
});

test.run();
