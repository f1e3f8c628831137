import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dot } from '../../../graph/dot.ts';
import { mermaid } from '../../../graph/mermaid.ts';
import type { GraphView } from '../../../graph/view.ts';
import { node, sample as view } from '../../rig/views.ts';

/** What each format could take for something of its own. */
const nasty = 'a "b" \\N <i>&amp; `c` #35; </script> ]]> {x} |y| ü\nz';
const nastyView: GraphView = { title: nasty, nodes: [node('n0', nasty)], edges: [] };

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
  assert.is(mermaid(view), lines);
});

test('mermaid: only letters, digits and harmless signs stand in a label as they are', () => {
  const [, line = ''] = mermaid(nastyView).split('\n');
  assert.match(line, /^ {2}n0\["[\p{L}\p{N} ,./:=_;#-]*"\]$/u);
  const decoded = line.slice(6, -2).replace(/#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)));
  assert.is(decoded, nasty);
});

test('dot: each kind of edge and each mark has its own look', () => {
  const text = dot(view);
  assert.match(text, /^digraph "top" \{\n/);
  assert.match(text, 'n0 [label="tool helm", tooltip="makes tool helm", style="dashed"];');
  assert.match(text, 'n1 [label="server", tooltip="makes server", style="rounded"];');
  assert.match(text, 'n2 [label="top", tooltip="makes top", penwidth=2];');
  assert.match(text, 'n3 [label="clean-up", tooltip="makes clean-up", shape=hexagon];');
  const edges = '  n0 -> n1;\n  n1 -> n2 [style=dashed];\n  n2 -> n3 [style=dotted, label="finally"];\n}\n';
  assert.match(text, edges);
});

test('dot: quotes, backslashes, line breaks and entities mean themselves in a label', () => {
  const label = /label="((?:[^"\\]|\\.)*)", tooltip/.exec(dot(nastyView))?.[1] ?? '';
  assert.not.match(label, '\n');
  const unescaped = label.replace(/\\(.)/g, (_, character) => (character === 'n' ? '\n' : character));
  assert.is(unescaped.replaceAll('&amp;', '&'), nasty);
});

test.run();
