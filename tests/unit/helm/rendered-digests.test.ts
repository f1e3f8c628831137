import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { recallDigests } from '../../../lib/helm/changed-releases.ts';
import type { Target } from '../../../lib/settings/context.ts';
import { environmentOf } from '../../../lib/settings/environment.ts';
import { loadSettings } from '../../../lib/settings/settings.ts';

const test = suite<Target>('rendered digests');

test.before.each(async (context) => {
  const state = await mkdtemp(join(tmpdir(), 'rendered-digests-'));
  const environment = environmentOf({ env: 'development', provider: 'embedded' });
  Object.assign(context, {
    environment: { ...environment, state },
    settings: await loadSettings(environment),
  });
});
test.after.each(({ environment }) => rm(environment.state, { recursive: true, force: true }));

test('digests are known until an input differs', async (target) => {
  const digests = await recallDigests(target);
  assert.is(digests.known.size, 0);
  digests.known.set('devops', '1');
  await digests.save();
  assert.equal((await recallDigests(target)).known, digests.known);
  const environment = { ...target.environment, provider: 'minikube' } as const;
  assert.is((await recallDigests({ ...target, environment })).known.size, 0);
});

test('a damaged file counts as none', async (target) => {
  await writeFile(join(target.environment.state, 'rendered.json'), '{"inputs":"a"');
  assert.is((await recallDigests(target)).known.size, 0);
});

test.run();
