import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type KubernetesObject, render, type Tree } from './render.ts';
import { cleanUp } from './tools.ts';

const test = suite('names');
test.after(cleanUp);

// helm allows 53 characters, dots, and a digit in front
const long = 'a-release-with-the-longest-name-that-helm-would-accept';
const releases = [long.slice(0, 53), `${long.slice(0, 52)}x`, 'a.b', 'a-b', '1app', 'app', 'app-database'];

const variants: readonly (readonly ['backend' | 'frontend' | 'postgresql', Tree])[] = [
  ['backend', { autoscaling: { enabled: true } }],
  ['frontend', { ingress: { controller: 'traefik' } }],
  ['postgresql', {}],
];

const key = ({ kind, metadata }: KubernetesObject): string => `${kind}/${metadata.name}`;

for (const [chart, values] of variants) {
  test(`${chart}: any release name gives valid names of at most 63 characters`, async () => {
    for (const release of releases) {
      for (const { kind, metadata } of await render(chart, { release, values })) {
        assert.match(metadata.name, /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/, `${kind} of ${release}`);
        for (const [label, value] of Object.entries(metadata.labels ?? {})) {
          assert.match(value, /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/, `${label} of ${release}`);
        }
      }
    }
  });

  test(`${chart}: two releases in one namespace share no object and select only their own pods`, async () => {
    const all = await Promise.all(releases.map((release) => render(chart, { release, values })));
    const names = all.flat().map(key);
    assert.equal([...new Set(names)].length, names.length);
    const selectors = all.map((objects) => {
      const workload = objects.find(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
      return JSON.stringify(workload?.spec.selector.matchLabels);
    });
    assert.is(new Set(selectors).size, releases.length);
  });
}

test('every object that lives in a namespace says in which', async () => {
  for (const [chart, values] of variants) {
    for (const object of await render(chart, { values, namespace: 'there' })) {
      assert.is(object.metadata.namespace, 'there', key(object));
    }
  }
});

test.run();
