import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeKeys } from '../../../lib/runner/choose/keys.ts';
import { matching } from '../../../lib/runner/choose/match.ts';

test('keys are told apart, also in one piece, and the beginning of one is kept', () => {
  const names = (input: string): string[] =>
    decodeKeys(input).keys.map((key) => (key.name === 'text' ? key.text : key.name));
  assert.equal(names('aé😀\u001B[A\u001BOB\r'), ['a', 'é', '😀', 'up', 'down', 'enter']);
  assert.equal(names('\u007F\u0017\u0015\u0003\u0004'), [
    'erase',
    'erase-word',
    'erase-all',
    'leave',
    'leave',
  ]);
  assert.equal(names('\u001B[5~\u001B[6~\u001B[H\u001B[4~'), ['page-up', 'page-down', 'home', 'end']);
  assert.equal(names('x\u001B[1;5Cy\u001B[15~\u0001z'), ['x', 'y', 'z'], 'what is not known is dropped');
  assert.equal(names('\u001B\u001B'), ['leave']);
  for (const part of ['\u001B', '\u001B[', '\u001B[5', '\u001BO'])
    assert.equal(decodeKeys(`a${part}`), { keys: [{ name: 'text', text: 'a' }], rest: part });
});

test('of the items that fit, those go first whose name begins so', () => {
  const items = [
    { word: 'uninstall-app', text: 'removes' },
    { word: 'install-all', text: 'everything' },
    { word: 'init-all', text: 'prepares' },
    { word: 'diff', text: 'what install would do' },
  ];
  const found = (filter: string): string[] => matching(items, filter).map(({ word }) => word);
  assert.equal(found(''), ['uninstall-app', 'install-all', 'init-all', 'diff']);
  assert.equal(found('Install'), ['install-all', 'uninstall-app', 'diff']);
  assert.equal(found('inall'), ['uninstall-app', 'install-all', 'init-all']);
  assert.equal(found('ins removes'), ['uninstall-app']);
  assert.equal(found('zebra'), []);
});

test.run();
