import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Contender, interleave, measureProcess } from '../../../bench/runner/measure.ts';
import { failureOf } from '../../rig/task-context.ts';

const contender = (name: string): Contender => ({ name, command: [name] });

test('contenders take turns after a round to warm up, and each begins a round', async () => {
  const order: string[] = [];
  const times = await interleave([contender('a'), contender('b')], 3, async ({ name }) => order.push(name));
  assert.is(order.join(''), 'ab' + 'ab' + 'ba' + 'ab');
  assert.equal(times, { a: [3, 6, 7], b: [4, 5, 8] });
});

test('a process is measured to its end, and a failing one is an error with its last output', async () => {
  const measure = measureProcess(new AbortController().signal);
  assert.ok((await measure({ name: 'true', command: ['true'] })) > 0);
  const script = 'echo something is wrong; exit 3';
  const failed = await failureOf(measure({ name: 'peer', command: ['sh', '-c', script] }));
  assert.match(String(failed), /^TaskError: peer: `sh -c .*` ended with 3: something is wrong$/s);
  const missing = await failureOf(measure({ name: 'missing', command: ['/no/such/program'] }));
  assert.match(String(missing), 'could not be started');
});

test('measured processes are ended when the run is stopped', async () => {
  const abort = new AbortController();
  const measured = measureProcess(abort.signal)({ name: 'endless', command: ['sleep', '1000'] });
  abort.abort();
  assert.match(String(await failureOf(measured)), 'ended with SIGKILL');
  await failureOf(measureProcess(abort.signal)({ name: 'late', command: ['true'] }));
});

test.run();
