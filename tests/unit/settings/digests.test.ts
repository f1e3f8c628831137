import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { digestWords, mergeLayers } from '../../../lib/settings/layers.ts';

const common = { images: { a: { repository: 'r', tag: '1', digest: 'one' } } };
const layers = (...images: readonly object[]) => [common, ...images.map((a) => ({ images: { a } }))];

test('a layer that names another repository or tag without a digest does not inherit one', () => {
  for (const [given, digest] of [
    [[{ tag: '2' }], ''],
    [[{ repository: 's' }], ''],
    [[{ repository: 'r', tag: '1' }], 'one'],
    [[{ build: 'docker/a' }], 'one'],
    [[{ tag: '2', digest: 'two' }], 'two'],
    // A mirror has the same content.
    [[{ repository: 's', digest: 'one' }], 'one'],
    [[{ tag: '2', digest: 'two' }, { tag: '3' }], ''],
    [[{ tag: '2' }, { digest: 'two' }], 'two'],
    [[{ tag: '2' }, { tag: '1' }], ''],
  ] as const) {
    const all = layers(...given);
    assert.equal(Object(mergeLayers(all).images).a.digest, digest, JSON.stringify(given));
  }
});

test('helmfile gets arguments for dropped digests only', () => {
  assert.equal(digestWords(layers({ tag: '2' })), ['--state-values-set', 'images.a.digest=']);
  assert.equal(digestWords(layers({ tag: '2', digest: 'two' }, { build: 'docker/a' })), []);
  // The schema refuses it later.
  assert.equal(digestWords([common, { images: null }, { images: { a: 'x' } }]), []);
});

test.run();
