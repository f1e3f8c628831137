import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { shortValues } from '../../../lib/ground/short-values.ts';

const long = 'x'.repeat(100);

test('short values of one line are shown whole', () => {
  assert.equal(shortValues('a', { b: 1 }), ['a', '{"b":1}']);
  assert.equal(shortValues(4, true), ['4', 'true']);
});

test('two long values are cut where they differ', () => {
  const [one = '', other = ''] = shortValues(`${long}-one${long}`, `${long}-other${long}`);
  assert.match(one, /^…x+-onex+…$/);
  assert.match(other, /^…x+-otherx+…$/);
  for (const text of [one, other]) assert.ok(text.length <= 62);
  assert.equal(shortValues(`a${long}`, `b${long}`), [`a${'x'.repeat(59)}…`, `b${'x'.repeat(59)}…`]);
});

test('of several lines the first that differs is shown', () => {
  assert.equal(shortValues('same\nlevel=debug\nend', 'same\nlevel=info\nend'), [
    '…level=debug…',
    '…level=info…',
  ]);
  assert.equal(shortValues('a\nb', 'a'), ['a…', 'a']);
  assert.equal(shortValues('\nb', 'a\nb'), ['…', 'a…']);
  assert.equal(shortValues(undefined, 'a\nb'), ['', 'a…']);
});

test.run();
