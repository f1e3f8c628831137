import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type RigTask, rig, useRig } from '../rig/rig.ts';

useRig(test);

/* Codes that the tests of signals, confirmations, failures and long-running processes do not show. */
const cases: readonly (readonly [string, number, RigTask])[] = [
  ['a time limit above that of a timer of Node', 0, { name: 'a', commands: ['true'], timeoutMs: 2 ** 40 }],
  ['a cleanup that fails', 1, { name: 'a', cleanup: 'false' }],
  ['another task of a name that the runner has', 2, { name: 'list' }],
  ['a command that is killed', 137, { name: 'a', commands: [`sh -c 'kill -KILL $$'`] }],
];

for (const [name, code, task] of cases)
  test(`exit code ${code}: ${name}`, async () => {
    assert.is(await rig.run([task], [task.name]).exit, code);
  });

test.run();
