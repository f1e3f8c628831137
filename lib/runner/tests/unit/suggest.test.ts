import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { matching } from '../../choose/ask.ts';
import { didYouMean } from '../../suggest.ts';

const names = ['create-k8s', 'destroy-k8s', 'install-app', 'install-all', 'status'];

test('finds a few wrong letters, the beginning of a single name, and does not guess', () => {
  const found: { readonly [word: string]: string | undefined } = {
    ...{ statsu: 'status', 'creat-k8s': 'create-k8s', statuus: 'status', Status: 'status' },
    ...{ destr: 'destroy-k8s', install: undefined, zebra: undefined, '': undefined },
  };
  for (const [word, name] of Object.entries(found))
    assert.is(didYouMean(word, names, 'no'), name === undefined ? 'no' : `Did you mean \`${name}\`?`);
  assert.is(didYouMean('x', [], 'no'), 'no');
});

test('of the items that fit, those go first whose name begins so', () => {
  const texts = {
    'uninstall-app': 'removes',
    'install-all': 'all',
    'init-all': 'prepares',
    diff: 'of an install',
  };
  const items = Object.entries(texts).map(([word, text]) => ({ word, text }));
  const found = (filter: string): string[] => matching(items, filter).map(({ word }) => word);
  assert.equal(found(''), Object.keys(texts));
  assert.equal(found('Install'), ['install-all', 'uninstall-app', 'diff']);
  assert.equal(found('ins removes'), ['uninstall-app']);
  assert.equal(found('zebra'), []);
});

test.run();
