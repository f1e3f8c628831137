import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { need, needsOf, task } from '../../task.ts';

const deploy = task({
  name: 'deploy',
  description: 'd',
  args: {
    app: { type: 'choice', positional: true, choices: ['app1', 'app2'], description: 'd' },
    revision: { type: 'number', optional: true, description: 'd' },
    tags: { type: 'list', default: [], description: 'd' },
    rest: { type: 'string', positional: true, variadic: true, optional: true, description: 'd' },
  },
  commands: ({ args }) => {
    // Checked by the compiler, not by this test: every argument has the type of its spec.
    const app: 'app1' | 'app2' = args.app;
    const revision: number | undefined = args.revision;
    const lists: readonly (readonly string[])[] = [args.tags, args.rest];
    return [`${app} ${revision} ${lists.length}`];
  },
});

test('a task knows where it was declared', () => {
  assert.match(deploy.file, /task\.test\.ts$/);
  assert.is(deploy.line, 5);
});

test('a need carries arguments that the compiler has checked', () => {
  assert.equal(need(deploy, { app: 'app1' }), { task: deploy, args: { app: 'app1' } });
  // @ts-expect-error: there is no such app
  need(deploy, { app: 'app3' });
  // @ts-expect-error: there is no such argument
  need(deploy, { aap: 'app1' });
});

test('needs are given as tasks, as needs or as a function', () => {
  const input = { args: {}, options: {}, passThrough: [] };
  const one = task({
    name: 'one',
    description: 'd',
    commands: () => [],
    needs: [deploy, need(deploy, { app: 'app2' })],
  });
  assert.equal(
    needsOf(one, input).map((entry) => entry.args),
    [{}, { app: 'app2' }],
  );
  const two = task({ name: 'two', description: 'd', commands: () => [], needs: () => [one] });
  assert.is(needsOf(two, input)[0]?.task, one);
  assert.equal(needsOf(deploy, input), []);
});

test.run();
