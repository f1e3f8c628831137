import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { shellWord, shellWords } from '../../../lib/ground/shell-words.ts';

test('a shell reads back the same words', () => {
  const words = ['one', 'two words', "it's", '', '$HOME', '`id`', '*', 'a\nb', join(root, 'lib')];
  const script = `for word in ${shellWords(words)}; do printf '%s|' "$word"; done`;
  const read = execFileSync('sh', ['-c', script], { cwd: root, env: { PWD: root }, encoding: 'utf8' });
  assert.equal(read.split('|').slice(0, -1), words);
});

test('a path into the project begins with the folder that the shell is in', () => {
  assert.is(shellWord(`--config=${join(root, '.state/x')}`), '"--config=$PWD/.state/x"');
  assert.is(shellWord(`${root}2/x`), `${root}2/x`);
});

test.run();
