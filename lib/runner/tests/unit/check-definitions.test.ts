import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ownTasks } from '../../own-tasks.ts';
import { type AnyTask, task } from '../../task.ts';
import { checkDefinitions } from '../../task-names.ts';
import { refusalOf } from '../rig/refusal.ts';

const make = (name: string, ...aliases: string[]) =>
  task({ name, description: 'd', aliases, commands: () => [] });
const both = /^`build` at \S+:\d+ and `test` at \S+:\d+$/;

test('two tasks that share a name or an alias are both named', async () => {
  const check = async (tasks: readonly AnyTask[]) => checkDefinitions([...tasks, ...ownTasks], {});
  for (const [tasks, why] of [
    [[make('build', 'x'), make('test', 'x')], both],
    [[make('build', 'test'), make('test')], both],
    [[make('build', 'list')], /^`build` at \S+ and `list` at \S*own-tasks\.ts:\d+$/],
    [[make('build'), make('build')], /^`build` at (\S+) and `build` at \1$/],
  ] as const) {
    const error = await refusalOf(check(tasks));
    assert.match(error.what, /^two tasks are called `(?:x|test|list|build)`$/);
    assert.match(error.why, why);
    assert.is(error.advice, 'give one of them another name or alias, and call `task()` once for each');
  }
  await check([make('build', 'b'), make('test', 't')]);
});

test('a task hides a global option only if it says so', () => {
  const output = { type: 'string', description: 'd' } as const;
  const draw = (hidesGlobal: boolean) =>
    task({
      name: 'draw',
      description: 'd',
      args: { output: { ...output, hidesGlobal } },
      commands: () => [],
    });
  assert.throws(() => checkDefinitions([draw(false)], { output }), /`output` of task `draw` hides a global/);
  checkDefinitions([draw(true)], { output });
});

test.run();
