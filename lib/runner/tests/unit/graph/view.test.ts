import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type GraphView, viewOfGraph } from '../../../graph/view.ts';
import { buildGraph } from '../../../graph.ts';
import { type AnyTask, need, type Options } from '../../../task.ts';
import { plain, word } from '../../rig/graphs.ts';

async function view(requested: AnyTask, options: Options = {}): Promise<GraphView> {
  return viewOfGraph(await buildGraph([{ task: requested, args: {}, passThrough: [] }], options, 'run'));
}

/** `a -need-> b`, by labels. */
function edges({ nodes, edges }: GraphView): string[] {
  const label = (id: string) => nodes.find((node) => node.id === id)?.label;
  return edges.map(({ from, to, kind }) => `${label(from)} -${kind}-> ${label(to)}`).sort();
}

test('nodes stand in the order of the run and say what is special about them', async () => {
  const hidden = plain('hidden', { private: true, group: 'tools' });
  const server = plain('server', { needs: [hidden], ready: { log: 'up' } });
  const top = plain('top', { description: 'the top', needs: [server] });
  const drawn = await view(top);
  const nodes = drawn.nodes.map(({ id, label, marks }) => [id, label, ...marks].join(' '));
  assert.equal(nodes, ['n0 hidden private', 'n1 server long-running', 'n2 top requested']);
  const { file, line, ...rest } = drawn.nodes[2] ?? { file: '', line: 0 };
  assert.match(file, 'view.test.ts');
  assert.ok(line > 20);
  const shown = { id: 'n2', label: 'top', task: 'top', group: 'tasks', description: 'the top' };
  assert.equal(rest, { ...shown, marks: ['requested'] });
  assert.equal(edges(drawn), ['hidden -need-> server', 'server -need-> top']);
});

test('an order without a need differs from a need, even between the same two tasks', async () => {
  const part = plain('part', { args: { name: word } });
  const earlier = plain('earlier');
  const mixed = plain('mixed', { needs: [need(part, { name: 'x' })], after: [part, earlier] });
  const top = plain('top', { needs: [earlier, need(part, { name: 'y' }), mixed] });
  assert.equal(edges(await view(top)), [
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
  assert.equal(edges(drawn), ['make -finally-> remove test', 'make -need-> top', 'tool -need-> remove test']);
  assert.equal(drawn.nodes.at(-1)?.marks, ['finaliser']);
});

test.run();
