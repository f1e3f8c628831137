import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkArguments } from '../../arguments.ts';
import { runnerSettings } from '../../global-options.ts';
import type { ArgumentSpecs, ArgumentValues } from '../../task.ts';
import { refusalOf } from '../rig/refusal.ts';

const app = { type: 'choice', positional: true, description: 'the app', choices: ['app1', 'app2'] } as const;

function check(specs: ArgumentSpecs, values: ArgumentValues): Promise<unknown> {
  return checkArguments(specs, values, { options: { environment: 'dev' }, usage: 'usage: x' });
}

const errorOf = (specs: ArgumentSpecs, values: ArgumentValues) => refusalOf(check(specs, values));

test('what is left out gets its default, nothing, false or an empty list', async () => {
  const specs = {
    path: { type: 'string', positional: true, default: '/', description: 'd' },
    revision: { type: 'number', optional: true, description: 'd' },
    force: { type: 'boolean', description: 'd' },
    rest: { type: 'string', positional: true, variadic: true, optional: true, description: 'd' },
  } as const;
  assert.equal(await check(specs, {}), { path: '/', revision: undefined, force: false, rest: [] });
});

test('the environment comes after the command line and before the default', async () => {
  const specs = {
    level: { type: 'number', default: 1, env: 'RUNNER_TEST_LEVEL', description: 'd' },
  } as const;
  process.env.RUNNER_TEST_LEVEL = '2';
  assert.equal(await check(specs, {}), { level: 2 });
  assert.equal(await check(specs, { level: '3' }), { level: 3 });
  process.env.RUNNER_TEST_LEVEL = 'x';
  assert.is(
    (await errorOf(specs, {})).what,
    'expected `--level` to be a number, got `x` (from RUNNER_TEST_LEVEL)',
  );
  assert.match((await errorOf(specs, {})).advice, 'write `RUNNER_TEST_LEVEL=NUMBER`: ');
  assert.match((await errorOf(specs, { level: 'y' })).advice, 'write `--level=NUMBER`: ');
  process.env.RUNNER_TEST_LEVEL = '';
  assert.equal(await check(specs, {}), { level: 1 });
  delete process.env.RUNNER_TEST_LEVEL;
});

test('a required variadic argument needs at least one word', async () => {
  const specs = { files: { type: 'string', positional: true, variadic: true, description: 'd' } } as const;
  assert.is((await errorOf(specs, {})).what, 'missing argument `<files>…`');
  assert.is((await errorOf(specs, { files: [] })).what, 'missing argument `<files>…`');
});

test('a wrong choice names the noun, the possible values and the nearest one', async () => {
  const error = await errorOf({ app }, { app: 'ap1' });
  assert.is(error.what, 'unknown app `ap1`');
  assert.is(error.why, 'possible: app1, app2');
  assert.is(error.advice, 'Did you mean `app1`?');
});

test('choices may be read from elsewhere with the options, and hold for each of several words', async () => {
  const specs = {
    tiers: {
      type: 'choice',
      positional: true,
      variadic: true,
      noun: 'tier',
      description: 'd',
      choices: async (options: { readonly [name: string]: unknown }) => [`core-${options.environment}`],
    },
  } as const;
  assert.equal(await check(specs, { tiers: 'core-dev' }), { tiers: ['core-dev'] });
  assert.is((await errorOf(specs, { tiers: ['core-dev', 'apps'] })).what, 'unknown tier `apps`');
});

for (const [type, value, expected] of [
  ...['x', '', 'Infinity', '1e999'].map((value) => ['number', value, 'a number'] as const),
  ['boolean', 'maybe', '`true` or `false`'],
] as const)
  test(`wrong types are named with option, rule and value: ${type} \`${value}\``, async () => {
    const { what } = await errorOf({ level: { type, description: 'd' } }, { level: value });
    assert.is(what, `expected \`--level\` to be ${expected}, got \`${value}\``);
  });

test('the number of jobs is a whole number, at least 1', async () => {
  for (const jobs of [0, 1.5]) {
    const { what, advice } = await refusalOf((async () => runnerSettings({ jobs }))());
    assert.is(what, `expected \`--jobs\` to be a whole number, at least 1, got \`${jobs}\``);
    assert.is(advice, 'use `--jobs=1` for one task at a time');
  }
});

test.run();
