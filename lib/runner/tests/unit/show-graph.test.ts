import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UsageError } from '../../errors.ts';
import { runnerOptions } from '../../global-options.ts';
import { ownTasks } from '../../own-tasks.ts';
import { dot, mermaid, showGraph, viewOfGraph } from '../../show-graph.ts';
import { type AnyTask, need, type Options } from '../../task.ts';
import { graphOf, node, plain, sample, text, word } from '../rig/graphs.ts';
import { refusalOf } from '../rig/refusal.ts';

async function view(requested: AnyTask, options: Options = {}) {
  const { nodes, edges } = viewOfGraph(await graphOf(requested, {}, [], options));
  const label = (id: string) => nodes.find((node) => node.id === id)?.label;
  return { nodes, edges: edges.map(({ from, to, kind }) => `${label(from)} -${kind}-> ${label(to)}`).sort() };
}

test('nodes stand in the order of the run and say what is special about them', async () => {
  const hidden = plain('hidden', { private: true, group: 'tools' });
  const server = plain('server', { needs: [hidden], ready: { log: 'up' } });
  const top = plain('top', { description: 'the top', needs: [server] });
  const drawn = await view(top);
  const nodes = drawn.nodes.map(({ id, label, marks }) => [id, label, ...marks].join(' '));
  assert.equal(nodes, ['n0 hidden private', 'n1 server long-running', 'n2 top requested']);
  const { file, line, ...rest } = drawn.nodes[2] ?? { file: '', line: 0 };
  assert.match(file, 'show-graph.test.ts');
  assert.ok(line > 15);
  const shown = { id: 'n2', label: 'top', task: 'top', group: 'tasks', description: 'the top' };
  assert.equal(rest, { ...shown, marks: ['requested'] });
  assert.equal(drawn.edges, ['hidden -need-> server', 'server -need-> top']);
});

test('an order without a need differs from a need, even between the same two tasks', async () => {
  const part = plain('part', { args: { name: word } });
  const earlier = plain('earlier');
  const mixed = plain('mixed', { needs: [need(part, { name: 'x' })], after: [part, earlier] });
  const top = plain('top', { needs: [earlier, need(part, { name: 'y' }), mixed] });
  assert.equal((await view(top)).edges, [
    'earlier -after-> mixed',
    'earlier -need-> top',
    'mixed -need-> top',
    'part x -need-> mixed',
    'part y -after-> mixed',
    'part y -need-> top',
  ]);
});

test('finalisers are drawn with their arguments and their own needs', async () => {
  const tool = plain('tool');
  const remove = plain('remove', { args: { what: word }, needs: [tool] });
  const make = plain('make', { finally: ({ options }) => [need(remove, { what: String(options.env) })] });
  const drawn = await view(plain('top', { needs: [make] }), { env: 'test' });
  assert.equal(drawn.edges, ['make -finally-> remove test', 'make -need-> top', 'tool -need-> remove test']);
  assert.equal(drawn.nodes.at(-1)?.marks, ['finaliser']);
});

const tool = plain('tool', { private: true });
const build = plain('build', { needs: [tool] });
const known = {
  tasks: [tool, build, plain('test', { needs: [build], after: [tool] }), ...ownTasks],
  specs: { ...runnerOptions, environment: { ...text, default: 'here' } },
  program: 'rig',
  config: {
    resolve: async (options: Options) => {
      if (options.environment === 'nowhere') throw new UsageError({ what: 'unknown environment `nowhere`' });
      return options;
    },
  },
};

const graph = (line: string): Promise<string | undefined> => showGraph(line.split(' '), known);

for (const [line, shown] of [
  ['graph test', 'flowchart LR\n  n0["tool"]\n  n1["build"]\n  n2["test"]\n  n0 --> n1\n'],
  // Even a private one.
  ['graph tool', 'flowchart LR\n  n0["tool"]\n'],
  ['graph test --format dot', /^digraph "test" \{\n/],
  ['graph --format=dot test', /^digraph "test" \{\n/],
  ['graph test --format json', /^\{\s*"title": "test"/],
  ['--json graph test', /^\{\s*"title": "test"/],
  // It is a task only where one can stand; its help and its missing argument are for others.
  ['--environment graph graph build', 'n1["build"]'],
  ['--environment graph build', undefined],
  ['graph --help', undefined],
  ['graph --json', undefined],
] as const)
  test(`shown by: ${line}`, async () => {
    const drawn = await graph(line);
    if (shown === undefined) assert.is(drawn, undefined);
    else assert.match(drawn ?? '', shown);
  });

test('reports mistakes as for a run', async () => {
  for (const [line, what] of [
    ['graph tset', 'unknown task `tset`'],
    ['graph test --format png', 'unknown format `png`'],
    ['graph test word', 'unexpected argument `word` for task `test`'],
    ['graph test --environment nowhere', 'unknown environment `nowhere`'],
  ] as const)
    assert.is((await refusalOf(graph(line))).what, what);
});

/** What each format could take for something of its own. */
const nasty = 'a "b" \\N <i>&amp; `c` #35; </script> ]]> {x} |y| ü\nz';
const nastyView = { title: nasty, nodes: [node('n0', nasty)], edges: [] };

test('mermaid: each kind of edge and each mark has its own look', () => {
  const lines = `flowchart LR
  n0["tool helm"]
  n1(["server"])
  n2["top"]
  n3{{"clean-up"}}
  n0 --> n1
  n1 -.-> n2
  n2 -. finally .-> n3
  classDef requested stroke-width:3px
  class n2 requested
  classDef private stroke-dasharray:4 3
  class n0 private
  classDef long_running stroke:#0a7d6c
  class n1 long_running
  classDef finaliser stroke:#a35200
  class n3 finaliser
`;
  assert.is(mermaid(sample), lines);
});

test('mermaid: only letters, digits and harmless signs stand in a label as they are', () => {
  const [, line = ''] = mermaid(nastyView).split('\n');
  assert.match(line, /^ {2}n0\["[\p{L}\p{N} ,./:=_;#-]*"\]$/u);
  const decoded = line.slice(6, -2).replace(/#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)));
  assert.is(decoded, nasty);
});

test('dot: each kind of edge and each mark has its own look', () => {
  const drawn = dot(sample);
  assert.match(drawn, /^digraph "top" \{\n/);
  for (const [id, label, mark] of [
    ['n0', 'tool helm', 'style="dashed"'],
    ['n1', 'server', 'style="rounded"'],
    ['n2', 'top', 'penwidth=2'],
    ['n3', 'clean-up', 'shape=hexagon'],
  ])
    assert.match(drawn, `${id} [label="${label}", tooltip="makes ${label}", ${mark}];`);
  const edges = '  n0 -> n1;\n  n1 -> n2 [style=dashed];\n  n2 -> n3 [style=dotted, label="finally"];\n}\n';
  assert.match(drawn, edges);
});

test('dot: quotes, backslashes, line breaks and entities mean themselves in a label', () => {
  const label = /label="((?:[^"\\]|\\.)*)", tooltip/.exec(dot(nastyView))?.[1] ?? '';
  assert.not.match(label, '\n');
  const unescaped = label.replace(/\\(.)/g, (_, character) => (character === 'n' ? '\n' : character));
  assert.is(unescaped.replaceAll('&amp;', '&'), nasty);
});

test.run();
