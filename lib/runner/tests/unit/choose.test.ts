import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { matching } from '../../choose/ask.ts';

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
  assert.equal(found('ins removes'), ['uninstall-app']);
  assert.equal(found('zebra'), []);
});

test.run();
