import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { screenOf, svgOf } from '../../../docs/picture.ts';
import { root } from '../../../lib/ground/project.ts';

const test = suite('docs/picture.ts');

const text = (session: string): string[] =>
  screenOf(session).map((line) => line.map((piece) => piece.text).join(''));

test('shows the final screen', () => {
  const session =
    '$ ./run\r\n\x1b[36m⠙ a\x1b[39m\r\n  0 of 1\r\n\x1b[2A\r\x1b[0J\x1b[32m✓\x1b[39m a \x1b[2m1s\x1b[22m\r\n';
  assert.equal(text(session), ['$ ./run', '✓ a 1s', '']);
  assert.equal(text('\x1b[1G⠙\x1b[1G\x1b[0K$ next\r\n'), ['$ next', '']);
});

test('keeps colours, escapes what SVG reads, and leaves out what `script` writes', () => {
  const svg = svgOf(screenOf('$ <a> & b\nScript done on a day\n\x1b[31mfailed\x1b[39m, twice\n'));
  assert.match(svg, '>$ &lt;a> &amp; b</tspan>');
  assert.match(svg, '<tspan fill="#ff7b72">failed</tspan><tspan fill="#e6edf3">, twice</tspan>');
  assert.not.match(svg, 'Script');
  assert.is(svg.match(/<text /g)?.length, 2);
});

test('docs/run.svg is of a run that went well', () => {
  const svg = readFileSync(join(root, 'docs', 'run.svg'), 'utf8').replaceAll(/<[^>]*>/g, '');
  const session = /\$ npx tsx tasks\.ts create-environment\n.*\ndone: \d+ tasks in \d+s.*\ncluster +running/s;
  assert.match(svg, session);
});

test.run();
