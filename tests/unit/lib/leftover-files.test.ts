import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isLeftover, namesEnding } from '../../../lib/leftover-files.ts';
import { leftovers } from '../../rig/leftovers.ts';

test('what editors, systems and merges leave is known by its name', () => {
  for (const name of ['settings.yaml', 'policy.hcl', 'Dockerfile', 'server.mjs'])
    for (const left of leftovers(name)) assert.ok(isLeftover(left), left);
});

test('files of ours are not taken for it', () => {
  const ours = [
    'settings.yaml',
    'a-b.yaml',
    '4913.yaml',
    'c#.yaml',
    '.dockerignore',
    '.helmignore',
    '.npmrc',
  ];
  assert.equal(ours.filter(isLeftover), []);
});

test('names of one ending, sorted', () => {
  assert.equal(namesEnding(['b.yaml', '.c.yaml', 'a.yaml', 'a.yaml~', 'd.txt'], '.yaml'), [
    'a.yaml',
    'b.yaml',
  ]);
});

test.run();
