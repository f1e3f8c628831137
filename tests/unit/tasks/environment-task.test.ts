import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { task } from '../../../tasks/environment-task.ts';

const options = { env: 'development', provider: 'existing', context: 'team' };

const other = task({ name: 'other', description: 'another', commands: () => [] });

const declared = task({
  name: 'sample',
  description: 'a sample',
  args: { app: { type: 'string', description: 'an app' } },
  needs: ({ environment }) => (environment.context === 'team' ? [other] : []),
  confirm: ({ args, environment }) => `remove ${args.app} from ${environment.name}?`,
  commands: ({ environment, settings, provider }) => [environment.name, settings.domain, provider.images],
});

const input = { args: { app: 'app1' }, options, passThrough: [] };

test('hooks before the run get the environment of the options', () => {
  assert.equal(typeof declared.needs === 'function' && declared.needs(input), [other]);
  assert.is(
    typeof declared.confirm === 'function' && declared.confirm(input),
    'remove app1 from development?',
  );
});

test('plain commands also get its settings and provider', async () => {
  const [name, domain, images] = await declared.commands(input);
  assert.is(name, 'development');
  assert.type(domain, 'string');
  assert.is(images, 'pulled');
});

test('a task is declared where the factory is called', () => {
  assert.match(declared.file, /environment-task\.test\.ts$/);
  assert.is(declared.line, 9);
});

test('the runner sees only what a task declares', () => {
  for (const name of ['after', 'check', 'run', 'mutex', 'onCluster']) assert.not.ok(name in declared, name);
});

test.run();
