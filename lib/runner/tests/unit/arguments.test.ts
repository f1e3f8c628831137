import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkArguments } from '../../arguments.ts';
import { type Arguments, need, type Options, task } from '../../runner.ts';
import type { ArgumentSpecs, ArgumentValues } from '../../task.ts';
import { flag, number, plain, word } from '../rig/graphs.ts';
import { refusalOf } from '../rig/refusal.ts';

const app = { type: 'choice', positional: true, description: 'the app', choices: ['app1', 'app2'] } as const;

function check(specs: ArgumentSpecs, values: ArgumentValues): Promise<unknown> {
  return checkArguments(specs, values, { options: { environment: 'dev' }, usage: 'usage: x' });
}

const errorOf = (specs: ArgumentSpecs, values: ArgumentValues) => refusalOf(check(specs, values));

const files = { ...word, variadic: true } as const;

test('what is left out gets its default, nothing, false or an empty list; one word is a list of one', async () => {
  const specs = {
    ...{ path: { ...word, default: '/' }, revision: { ...number, optional: true }, force: flag },
    rest: { ...word, variadic: true, optional: true },
  } as const;
  assert.equal(await check(specs, {}), { path: '/', revision: undefined, force: false, rest: [] });
  assert.equal(await check({ files }, { files: 'one' }), { files: ['one'] });
});

test('the environment comes after the command line and before the default', async () => {
  const specs = { level: { ...number, default: 1, env: 'RUNNER_TEST_LEVEL' } };
  process.env.RUNNER_TEST_LEVEL = '2';
  assert.equal(await check(specs, {}), { level: 2 });
  assert.equal(await check(specs, { level: '3' }), { level: 3 });
  process.env.RUNNER_TEST_LEVEL = 'x';
  const { what, advice } = await errorOf(specs, {});
  assert.is(what, 'expected `--level` to be a number, got `x` (from RUNNER_TEST_LEVEL)');
  assert.match(advice, 'use a number for `RUNNER_TEST_LEVEL`: ');
  const choice = { app: { ...app, env: 'RUNNER_TEST_LEVEL' } };
  assert.is((await errorOf(choice, {})).what, 'unknown app `x` (from RUNNER_TEST_LEVEL)');
  assert.match((await errorOf(specs, { level: 'y' })).advice, 'use a number for `--level`: ');
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
const unlike = (expected: string, got: string | number): string =>
  `expected \`--level\` to be ${expected}, got ${got === '' ? 'an empty text' : `\`${got}\``}`;
const status = { ...number, range: [100, 599] } as const;

for (const [specs, values, what, why, advice] of [
  [{ files }, {}, 'missing argument `<files>…`'],
  [{ files }, { files: [] }, 'missing argument `<files>…`'],
  [{ app }, { app: 'ap1' }, 'unknown app `ap1`', 'possible: app1, app2', 'Did you mean `app1`?'],
  [{ tiers }, { tiers: ['core-dev', 'apps'] }, 'unknown tier `apps`'],
  [{ level: flag }, { level: 'maybe' }, unlike('`true` or `false`', 'maybe')],
  ...['x', '', 'Infinity', '1e999'].map(
    (value) => [{ level: number }, { level: value }, unlike('a number', value)] as const,
  ),
  ...['-1', '0', '1.5', '1e20', 0].map(
    (value) =>
      [
        { level: { ...number, range: [1] } },
        { level: value },
        unlike('a whole number from 1 up', value),
      ] as const,
  ),
  ...['99', '600'].map(
    (value) =>
      [{ level: status }, { level: value }, unlike('a whole number from 100 to 599', value)] as const,
  ),
  [{ level: { type: 'path', description: 'd' } }, { level: '' }, unlike('a path', '')],
] as const)
  test(`what is wrong is named: ${what}`, async () => {
    const error = await errorOf(specs, values);
    assert.is(error.what, what);
    if (why !== undefined) assert.equal([error.why, error.advice], [why, advice]);
  });

// Mostly a test for the compiler: each `@ts-expect-error` is an error of its own when what follows it compiles.

type Same<Left, Right> =
  (<Type>() => Type extends Left ? 1 : 2) extends <Type>() => Type extends Right ? 1 : 2 ? true : false;
const same = <Left, Right>(_: Same<Left, Right>): void => {};

const specs = {
  text: word,
  number: { ...number, default: 3, short: 'n' },
  flag: { ...flag, default: true },
  choice: { type: 'choice', choices: ['one', 'two'], env: 'SOME_CHOICE', description: 'd' },
  read: { type: 'choice', choices: async (options: Options) => [String(options.env)], description: 'd' },
  maybe: { ...number, optional: true },
  rest: { type: 'path', positional: true, variadic: true, optional: true, description: 'd' },
} as const;

test('the compiler gives each argument the type of its spec', () => {
  type Typed = Arguments<typeof specs>;
  same<Typed['text'], string>(true);
  same<Typed['number'], number>(true);
  same<Typed['flag'], boolean>(true);
  same<Typed['choice'], 'one' | 'two'>(true);
  same<Typed['read'], string>(true);
  same<Typed['maybe'], number | undefined>(true);
  same<Typed['rest'], readonly string[]>(true);
  // @ts-expect-error: a wrong type is an error, or the lines above prove nothing
  same<Typed['text'], number>(true);
});

test('a spec that contradicts itself does not compile', () => {
  const wrong = [
    // @ts-expect-error: a number cannot have a text as its default
    () => plain('w', { args: { a: { ...number, default: '3' } } }),
    // @ts-expect-error: nor a flag a number
    () => plain('w', { args: { a: { ...flag, default: 1 } } }),
    // @ts-expect-error: a choice has choices
    () => plain('w', { args: { a: { type: 'choice', description: 'd' } } }),
    // @ts-expect-error: a number has none
    () => plain('w', { args: { a: { ...number, choices: ['1'] } } }),
    // @ts-expect-error: a text has no range
    () => plain('w', { args: { a: { ...word, range: [1] } } }),
    // @ts-expect-error: nor is it a list
    () => plain('w', { args: { a: { ...number, variadic: true } } }),
    // @ts-expect-error: a flag has no place
    () => plain('w', { args: { a: { ...flag, positional: true } } }),
    // @ts-expect-error: there is no such type
    () => plain('w', { args: { a: { type: 'date', description: 'd' } } }),
    // @ts-expect-error: everything is explained
    () => plain('w', { args: { a: { type: 'string' } } }),
    // @ts-expect-error: there is no such argument
    () => plain('w', { commands: ({ args }) => [args.none] }),
    // @ts-expect-error: it is a number
    () => plain('w', { args: { level: number }, commands: ({ args }) => [args.level] }),
    // @ts-expect-error: needs are tasks, not names
    () => plain('w', { needs: ['deploy'] }),
  ];
  assert.is(wrong.length, 12);
});

test('a need gives what its task requires, and nothing else', () => {
  const deploy = task({
    ...{ name: 'deploy', description: 'd', commands: () => [] },
    args: {
      app: { ...word, type: 'choice', choices: ['app1', 'app2'] },
      revision: { ...number, optional: true },
      level: { ...number, env: 'LEVEL' },
      force: flag,
    },
  });
  const none = plain('none');
  assert.equal(need(none), { task: none, args: {} });
  assert.equal(need(deploy, { app: 'app1' }), { task: deploy, args: { app: 'app1' } });
  need(deploy, { app: 'app2', revision: 2, level: 1, force: true });
  // @ts-expect-error: without its application
  need(deploy);
  // @ts-expect-error: likewise
  need(deploy, { revision: 2 });
  // @ts-expect-error: there is no such application
  need(deploy, { app: 'app3' });
  // @ts-expect-error: a revision is a number
  need(deploy, { app: 'app1', revision: '2' });
  // @ts-expect-error: there is no such argument
  need(deploy, { app: 'app1', aap: 'app1' });
  // @ts-expect-error: there is none at all
  need(none, { app: 'app1' });
});

test.run();
