import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { destroyQuestion } from '../../../lib/operations/destroy.ts';
import { environmentOf } from '../../../lib/settings/environment.ts';

const question = (env: string, provider: string) =>
  destroyQuestion({ environment: environmentOf({ env, provider, context: 'team' }) });

const word = async (env: string, provider: string): Promise<string | undefined> => {
  const asked = await question(env, provider);
  return typeof asked === 'object' ? asked.word : undefined;
};

test('the name has to be typed in production, and where the settings cannot say that it is none', async () => {
  assert.is(await word('production', 'existing'), 'production');
  assert.is(await word('lab', 'existing'), undefined);
  assert.is(await word('development', 'embedded'), undefined);
  assert.is(await word('removed', 'existing'), 'removed');
  assert.is(await word('removed', 'embedded'), undefined);
});

test('nothing is asked where nothing was created and no cluster is named', async () => {
  const environment = environmentOf({ env: 'production', provider: 'existing' });
  assert.is(await destroyQuestion({ environment }), undefined);
});

test.run();
