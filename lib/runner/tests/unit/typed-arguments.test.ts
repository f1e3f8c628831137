import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Arguments, need, type Options, task } from '../../runner.ts';

// Mostly a test for the compiler: each `@ts-expect-error` is an error of its own when what follows it compiles.

type Same<Left, Right> =
  (<Type>() => Type extends Left ? 1 : 2) extends <Type>() => Type extends Right ? 1 : 2 ? true : false;
const same = <Left, Right>(_: Same<Left, Right>): void => {};

const specs = {
  text: { type: 'string', positional: true, description: 'd' },
  number: { type: 'number', default: 3, short: 'n', description: 'd' },
  flag: { type: 'boolean', default: true, description: 'd' },
  choice: { type: 'choice', choices: ['one', 'two'], env: 'SOME_CHOICE', description: 'd' },
  read: { type: 'choice', choices: async (options: Options) => [String(options.env)], description: 'd' },
  maybe: { type: 'number', optional: true, description: 'd' },
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
  // @ts-expect-error: a wrong one is told, or all of the above means nothing
  same<Typed['text'], number>(true);
});

test('a spec that contradicts itself does not compile', () => {
  const commands = (): string[] => [];
  const common = { name: 'wrong', description: 'd', commands } as const;
  const wrong = [
    // @ts-expect-error: a number cannot have a text as its default
    () => task({ ...common, args: { a: { type: 'number', default: '3', description: 'd' } } }),
    // @ts-expect-error: nor a flag a number
    () => task({ ...common, args: { a: { type: 'boolean', default: 1, description: 'd' } } }),
    // @ts-expect-error: a choice has choices
    () => task({ ...common, args: { a: { type: 'choice', description: 'd' } } }),
    // @ts-expect-error: a number has none
    () => task({ ...common, args: { a: { type: 'number', choices: ['1'], description: 'd' } } }),
    // @ts-expect-error: nor is it a list
    () => task({ ...common, args: { a: { type: 'number', variadic: true, description: 'd' } } }),
    // @ts-expect-error: a flag has no place
    () => task({ ...common, args: { a: { type: 'boolean', positional: true, description: 'd' } } }),
    // @ts-expect-error: there is no such type
    () => task({ ...common, args: { a: { type: 'date', description: 'd' } } }),
    // @ts-expect-error: everything is explained
    () => task({ ...common, args: { a: { type: 'string' } } }),
    // @ts-expect-error: there is no such argument
    () => task({ name: 'w', description: 'd', commands: ({ args }) => [args.none] }),
    () =>
      task({
        name: 'w',
        description: 'd',
        args: { level: { type: 'number', description: 'd' } },
        // @ts-expect-error: it is a number
        commands: ({ args }) => [args.level],
      }),
  ];
  assert.is(wrong.length, 10);
});

test('a need gives what its task requires, and nothing else', () => {
  const deploy = task({
    name: 'deploy',
    description: 'd',
    args: {
      app: { type: 'choice', positional: true, choices: ['app1', 'app2'], description: 'd' },
      revision: { type: 'number', optional: true, description: 'd' },
      level: { type: 'number', env: 'LEVEL', description: 'd' },
      force: { type: 'boolean', description: 'd' },
    },
    commands: () => [],
  });
  const plain = task({ name: 'plain', description: 'd', commands: () => [] });
  assert.equal(need(plain), { task: plain, args: {} });
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
  need(plain, { app: 'app1' });
  // @ts-expect-error: needs are tasks, not names
  task({ name: 'w', description: 'd', needs: ['deploy'], commands: () => [] });
});

test.run();
