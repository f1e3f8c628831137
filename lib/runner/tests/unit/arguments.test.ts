import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkArguments } from '../../arguments.ts';
import { runnerSettings } from '../../global-options.ts';
import type { ArgumentSpecs, ArgumentValues } from '../../task.ts';
import { flag, number, word } from '../rig/graphs.ts';
import { refusalOf } from '../rig/refusal.ts';

const app = { type: 'choice', positional: true, description: 'the app', choices: ['app1', 'app2'] } as const;

function check(specs: ArgumentSpecs, values: ArgumentValues): Promise<unknown> {
  return checkArguments(specs, values, { options: { environment: 'dev' }, usage: 'usage: x' });
}

const errorOf = (specs: ArgumentSpecs, values: ArgumentValues) => refusalOf(check(specs, values));

test('what is left out gets its default, nothing, false or an empty list', async () => {
  const specs = {
    ...{ path: { ...word, default: '/' }, revision: { ...number, optional: true }, force: flag },
    rest: { ...word, variadic: true, optional: true },
  } as const;
  assert.equal(await check(specs, {}), { path: '/', revision: undefined, force: false, rest: [] });
});

test('the environment comes after the command line and before the default', async () => {
  const specs = { level: { ...number, default: 1, env: 'RUNNER_TEST_LEVEL' } };
  process.env.RUNNER_TEST_LEVEL = '2';
  assert.equal(await check(specs, {}), { level: 2 });
  assert.equal(await check(specs, { level: '3' }), { level: 3 });
  process.env.RUNNER_TEST_LEVEL = 'x';
  const { what, advice } = await errorOf(specs, {});
  assert.is(what, 'expected `--level` to be a number, got `x` (from RUNNER_TEST_LEVEL)');
  assert.match(advice, 'write `RUNNER_TEST_LEVEL=NUMBER`: ');
  assert.match((await errorOf(specs, { level: 'y' })).advice, 'write `--level=NUMBER`: ');
  process.env.RUNNER_TEST_LEVEL = '';
  assert.equal(await check(specs, {}), { level: 1 });
  delete process.env.RUNNER_TEST_LEVEL;
});

const tiers = {
  type: 'choice',
  noun: 'tier',
  choices: async (options: { readonly [name: string]: unknown }) => [`core-${options.environment}`],
  ...{ positional: true, variadic: true, description: 'd' },
} as const;
const files = { ...word, variadic: true } as const;
const unlike = (expected: string, got: string): string =>
  `expected \`--level\` to be ${expected}, got \`${got}\``;

test('choices may be read from elsewhere with the options', async () => {
  assert.equal(await check({ tiers }, { tiers: 'core-dev' }), { tiers: ['core-dev'] });
});

for (const [specs, values, what, why, advice] of [
  [{ files }, {}, 'missing argument `<files>…`'],
  [{ files }, { files: [] }, 'missing argument `<files>…`'],
  [{ app }, { app: 'ap1' }, 'unknown app `ap1`', 'possible: app1, app2', 'Did you mean `app1`?'],
  [{ tiers }, { tiers: ['core-dev', 'apps'] }, 'unknown tier `apps`'],
  [{ level: flag }, { level: 'maybe' }, unlike('`true` or `false`', 'maybe')],
  ...['x', '', 'Infinity', '1e999'].map(
    (value) => [{ level: number }, { level: value }, unlike('a number', value)] as const,
  ),
] as const)
  test(`what is wrong is named: ${what}`, async () => {
    const error = await errorOf(specs, values);
    assert.is(error.what, what);
    if (why !== undefined) assert.equal([error.why, error.advice], [why, advice]);
  });

test('the number of jobs is a whole number, at least 1', async () => {
  for (const jobs of [0, 1.5]) {
    const { what, advice } = await refusalOf((async () => runnerSettings({ jobs }))());
    assert.is(what, `expected \`--jobs\` to be a whole number, at least 1, got \`${jobs}\``);
    assert.is(advice, 'use `--jobs=1` for one task at a time');
  }
});

test.run();
