import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UsageError } from '../../../errors.ts';
import { runnerOptions } from '../../../global-options.ts';
import { showGraph } from '../../../graph/show.ts';
import { ownTasks } from '../../../own-tasks.ts';
import type { Options } from '../../../task.ts';
import { plain } from '../../rig/graphs.ts';
import { refusalOf } from '../../rig/refusal.ts';

const tool = plain('tool', { private: true });
const build = plain('build', { needs: [tool] });
const check = plain('test', { needs: [build], after: [tool] });
const known = {
  tasks: [tool, build, check, ...ownTasks],
  specs: { ...runnerOptions, environment: { type: 'string', default: 'here', description: 'd' } as const },
  program: 'rig',
  config: {
    resolve: async (options: Options) => {
      if (options.environment === 'nowhere') throw new UsageError({ what: 'unknown environment `nowhere`' });
      return options;
    },
  },
};

/** Empty when the line is no one of `graph`. */
const graph = async (...argv: string[]): Promise<string> => (await showGraph(argv, known)) ?? '';

test('graph shows what a task needs, a private one too', async () => {
  const head = 'flowchart LR\n  n0["tool"]\n  n1["build"]\n  n2["test"]\n  n0 --> n1\n';
  assert.match(await graph('graph', 'test'), head);
  assert.match(await graph('graph', 'tool'), 'flowchart LR\n  n0["tool"]\n');
});

test('each format is one word away, wherever it stands', async () => {
  assert.match(await graph('graph', 'test', '--format', 'dot'), /^digraph "test" \{\n/);
  assert.match(await graph('graph', '--format=dot', 'test'), /^digraph "test" \{\n/);
  for (const line of ['graph test --format json', '--json graph test'])
    assert.is(JSON.parse(await graph(...line.split(' '))).nodes.length, 3);
});

test('reports mistakes as for a run', async () => {
  for (const [words, what] of [
    [['tset'], 'unknown task `tset`'],
    [['test', '--format', 'png'], 'unknown format `png`'],
    [['test', 'word'], 'unexpected argument `word` for task `test`'],
    [['test', '--environment', 'nowhere'], 'unknown environment `nowhere`'],
  ] as const)
    assert.is((await refusalOf(graph('graph', ...words))).what, what);
});

test('the word graph is only a task where a task can stand; its help and its missing argument are for others', async () => {
  assert.match(await graph('--environment', 'graph', 'graph', 'build'), 'n1["build"]');
  assert.is(await graph('--environment', 'graph', 'build'), '');
  assert.is(await graph('graph', '--help'), '');
  assert.is(await graph('graph', '--json'), '');
});

test.run();
