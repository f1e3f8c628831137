import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { didYouMean, suggest } from '../../suggest.ts';

const names = ['create-k8s', 'destroy-k8s', 'install-app', 'install-all', 'status'];

test('finds wrong, missing, extra and swapped letters', () => {
  assert.is(suggest('statsu', names), 'status');
  assert.is(suggest('creat-k8s', names), 'create-k8s');
  assert.is(suggest('statuus', names), 'status');
  assert.is(suggest('Status', names), 'status');
});

test('finds words in another order and the beginning of a single name', () => {
  assert.is(suggest('k8s-create', names), 'create-k8s');
  assert.is(suggest('destr', names), 'destroy-k8s');
});

test('does not guess', () => {
  assert.is(suggest('install', names), undefined);
  assert.is(suggest('zebra', names), undefined);
  assert.is(suggest('', names), undefined);
  assert.is(suggest('x', []), undefined);
});

test('gives a sentence, or the other advice', () => {
  assert.is(didYouMean('statsu', names, 'see list'), 'Did you mean `status`?');
  assert.is(didYouMean('zebra', names, 'see list'), 'see list');
});

test.run();
