import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { destroyQuestion } from '../../../lib/operations/destroy.ts';
import { environmentOf } from '../../../lib/settings/environment.ts';

test('the name has to be typed in production, and where the settings cannot say that it is none', async () => {
  for (const [env, provider, word] of [
    ['production', 'existing', 'production'],
    ['lab', 'existing', undefined],
    ['development', 'embedded', undefined],
    ['removed', 'existing', 'removed'],
    ['removed', 'embedded', undefined],
  ] as const) {
    const asked = await destroyQuestion({ environment: environmentOf({ env, provider, context: 'team' }) });
    assert.is(typeof asked === 'object' ? asked.word : undefined, word, `${env} ${provider}`);
  }
});

test('nothing is asked where nothing was created and no cluster is named', async () => {
  const environment = environmentOf({ env: 'production', provider: 'existing' });
  assert.is(await destroyQuestion({ environment }), undefined);
});

test.run();
