import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { leftovers } from '../live-run.ts';
import { sandbox, succeeds } from './shared.ts';

/* Ends `applications.test.ts`. */

const tests = suite('removed');

tests('destroy-environment leaves no process of it', async () => {
  await succeeds('destroy-environment', '--yes');
  assert.equal(await leftovers(sandbox), []);
});

tests.after(() => sandbox.remove('development'));

tests.run();
