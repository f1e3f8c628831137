import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { recallDigests, rememberDigests, renderInputs } from '../../../lib/helm/rendered-digests.ts';
import { type Environment, environmentOf, settingsOf } from '../../../lib/settings/environment.ts';

const test = suite<{ environment: Environment }>('rendered digests');

test.before.each(async (context) => {
  const state = await mkdtemp(join(tmpdir(), 'rendered-digests-'));
  context.environment = { ...environmentOf({ env: 'development', provider: 'embedded' }), state };
});
test.after.each(({ environment }) => rm(environment.state, { recursive: true, force: true }));

test('digests of the same inputs add up', async ({ environment }) => {
  await rememberDigests({ environment }, 'a', new Map([['devops', '1']]));
  await rememberDigests({ environment }, 'a', new Map([['vault', '2']]));
  const known = await recallDigests({ environment }, 'a');
  assert.equal(
    [...known],
    [
      ['devops', '1'],
      ['vault', '2'],
    ],
  );
});

test('other inputs clear the cache', async ({ environment }) => {
  await rememberDigests({ environment }, 'a', new Map([['devops', '1']]));
  assert.is((await recallDigests({ environment }, 'b')).size, 0);
  await rememberDigests({ environment }, 'b', new Map([['vault', '2']]));
  assert.is((await recallDigests({ environment }, 'a')).size, 0);
});

test('a damaged file counts as none', async ({ environment }) => {
  await writeFile(join(environment.state, 'rendered.json'), '{"inputs":"a"');
  assert.is((await recallDigests({ environment }, 'a')).size, 0);
});

test('the digest of the inputs stays the same until one of them differs', async ({ environment }) => {
  const settings = await settingsOf(environment);
  const digest = await renderInputs({ environment, settings });
  assert.is(await renderInputs({ environment, settings }), digest);
  const other: Environment = { ...environment, provider: 'minikube' };
  assert.is.not(await renderInputs({ environment: other, settings }), digest);
});

test.run();
