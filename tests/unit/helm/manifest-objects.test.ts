import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { manifestObjects, typesOf, withHelmLabels } from '../../../lib/helm/manifest-objects.ts';

const manifest = `---
# Source: a.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data:
  x: |
    kind of: a text
---
apiVersion: "apps/v1"
kind: 'Deployment'
metadata:
  name: b
  labels: {own: label}
---
# nothing
---
apiVersion: v1
kind: Broken
metadata: {name: [
`;

test('the types of a manifest have their group, and the objects are those that can be read', async () => {
  assert.equal(typesOf(manifest), ['ConfigMap', 'Deployment.apps', 'Broken']);
  const objects = await manifestObjects(manifest);
  assert.equal(
    objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`),
    ['ConfigMap a', 'Deployment b'],
  );
});

test('helm’s labels and annotations are added to those of an object', async () => {
  const [, deployment] = await manifestObjects(manifest);
  assert.ok(deployment);
  assert.equal(withHelmLabels(deployment, { name: 'r', namespace: 'n' }).metadata, {
    name: 'b',
    labels: { own: 'label', 'app.kubernetes.io/managed-by': 'Helm' },
    annotations: { 'meta.helm.sh/release-name': 'r', 'meta.helm.sh/release-namespace': 'n' },
  });
});

test.run();
