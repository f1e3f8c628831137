import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { UsageError } from '../../errors.ts';
import { ownTasks } from '../../own-tasks.ts';
import { type AnyTask, task } from '../../task.ts';
import { checkDefinitions } from '../../task-names.ts';

const make = (name: string, aliases: string[] = []) =>
  task({ name, description: 'd', aliases, commands: () => [] });

function errorOf(...tasks: AnyTask[]): UsageError | undefined {
  try {
    checkDefinitions([...tasks, ...ownTasks], {});
    return undefined;
  } catch (error) {
    return error as UsageError;
  }
}

test('two tasks that share an alias are both named', () => {
  for (const tasks of [
    [make('build', ['x']), make('test', ['x'])],
    [make('build', ['test']), make('test')],
  ]) {
    const error = errorOf(...tasks);
    assert.match(error?.what ?? '', /^two tasks are called `(?:x|test)`$/);
    assert.match(error?.why ?? '', /^`build` at \S+:\d+ and `test` at \S+:\d+$/);
    assert.is(error?.advice, 'give one of them another name or alias, and call `task()` once for each');
  }
  assert.match(
    errorOf(make('build', ['list']))?.why ?? '',
    /^`build` at \S+ and `list` at \S+own-tasks\.ts:\d+$/,
  );
  assert.match(errorOf(make('build'), make('build'))?.why ?? '', /^`build` at (\S+) and `build` at \1$/);
  assert.is(errorOf(make('build', ['b']), make('test', ['t'])), undefined);
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
