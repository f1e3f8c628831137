import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { graphPicture } from '../../../report/graph-picture.ts';
import { edge, node, sample as view } from '../../rig/views.ts';

test('a box for each node, an arrow for each edge, a legend of what is in it', async () => {
  const text = await graphPicture(view);
  assert.is(text.match(/<g class="node/g)?.length, 4);
  const title = '<title>makes tool helm · private · x.ts:3</title>';
  assert.match(text, `<g class="node private" data-node="n0">${title}<rect`);
  assert.match(text, /<g class="node long-running".*rx="13"/);
  assert.match(text, '<path class="edge need" data-from="n0" data-to="n1" marker-end="url(#arrow)" d="M');
  assert.match(text, '<path class="edge after" data-from="n1" data-to="n2"');
  assert.match(text, '<path class="edge finally" data-from="n2" data-to="n3"');
  const marks =
    'thick border: requested   dashed border: private   round ends: long-running   hexagon: finaliser';
  assert.match(text, `${marks}   dashed arrow: after, when both run   dotted arrow: finally`);
  const plain = await graphPicture({ title: 't', nodes: [node('n0', 'one')], edges: [] });
  assert.not.match(plain, 'class="legend"');
});

test('well-formed whatever the labels', async () => {
  const nasty = 'a "b" \\N <i>&amp; `c` #35; </script> ]]> {x} |y| ü\nz\u0000\u001B\uD800';
  const text = await graphPicture({ title: nasty, nodes: [node('n0', nasty)], edges: [] });
  assert.match(text, '&quot;b&quot; \\N &lt;i&gt;&amp;amp; `c`');
  assert.not.match(text, '<i>');
  assert.not.match(text, '</script>');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: looks for them
  assert.not.match(text, /[\u0000-\u0008\u000B-\u001F]/);
  assert.not.match(text, /\p{Surrogate}/u);
  assert.match(text, 'aria-label="graph of a &quot;b');
});

test('two edges of one pair and a graph without nodes are drawn too', async () => {
  const pair = [edge('n0', 'n1'), edge('n0', 'n1', 'finally')];
  assert.is((await graphPicture({ ...view, edges: pair })).match(/class="edge/g)?.length, 2);
  assert.match(await graphPicture({ title: 't', nodes: [], edges: [] }), 'viewBox="0 0 24 0"');
});

test('an edge to a narrow box does not run through the wide ones above and below', async () => {
  const wide = 'w'.repeat(40);
  const nodes = [node('n0', 'first'), node('n1', wide), node('n2', wide), node('n3', 'x')];
  const edges = ['n1', 'n2', 'n3'].map((to) => edge('n0', to));
  const text = await graphPicture({ title: 't', nodes, edges });
  const left = Number(/data-node="n1".*?<rect x="([\d.]+)"/.exec(text)?.[1]);
  const curve = /data-to="n3".* ([-\d.]+) ([-\d.]+)C\S+ \S+ \S+ \S+ ([-\d.]+) ([-\d.]+)"/.exec(text);
  const [x = 0, y = 0, end = 0, last = 0] = curve?.slice(1).map(Number) ?? [];
  assert.ok(Math.abs(x - left) < 0.2, `it turns level at ${x}, the wide boxes begin at ${left}`);
  assert.ok(end > left + 50 && y === last);
});

test.run();
