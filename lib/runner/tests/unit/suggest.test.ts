import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { suggest } from '../../suggest.ts';

const names = ['create-k8s', 'destroy-k8s', 'install-app', 'install-all', 'status'];

test('finds a few wrong letters, the beginning of a single name, and does not guess', () => {
  const found: { readonly [word: string]: string | undefined } = {
    ...{ statsu: 'status', 'creat-k8s': 'create-k8s', statuus: 'status', Status: 'status' },
    ...{ destr: 'destroy-k8s', install: undefined, zebra: undefined, '': undefined },
  };
  for (const [word, name] of Object.entries(found)) assert.is(suggest(word, names), name, word);
  assert.is(suggest('x', []), undefined);
});

test.run();
