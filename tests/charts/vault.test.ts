import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../lib/ground/project.ts';
import { ofKind, only, render } from './render.ts';

const test = suite('vault');

test('pods wait for somebody who unseals them: they are replaced on demand, and start side by side', async () => {
  const { spec } = only(await render('vault'), 'StatefulSet');
  assert.equal([spec.updateStrategy, spec.podManagementPolicy], [{ type: 'OnDelete' }, 'Parallel']);
  const [{ readinessProbe, livenessProbe }] = spec.template.spec.containers;
  // Sealed, or without a leader: not ready, and never restarted.
  assert.not.match(readinessProbe.httpGet.path, /sealedcode|haunhealthycode/);
  assert.match(livenessProbe.httpGet.path, /sealedcode=204&.*haunhealthycode=204/);
});

test('several servers join each other, and a budget keeps all but one, also those that are not ready', async () => {
  const objects = await render('vault', { values: { replicas: 3 } });
  const configuration = only(objects, 'ConfigMap').data['vault.hcl'];
  const joined = [...configuration.matchAll(/leader_api_addr += "https:\/\/(\S+):8200"/g)];
  const host = only(objects, 'StatefulSet').spec.serviceName;
  assert.equal(
    joined.map(([, name]) => name),
    [0, 1, 2].map((ordinal) => `${only(objects, 'StatefulSet').metadata.name}-${ordinal}.${host}`),
  );
  const { maxUnavailable, unhealthyPodEvictionPolicy } = only(objects, 'PodDisruptionBudget').spec;
  assert.equal([maxUnavailable, unhealthyPodEvictionPolicy], [1, 'IfHealthyBudget']);
  // With a single server, it would only block node drains.
  assert.equal(ofKind(await render('vault'), 'PodDisruptionBudget'), []);
  const active = ofKind(objects, 'Service').find(({ metadata }) => metadata.name.endsWith('-active'));
  assert.is(active?.spec.selector['vault-active'], 'true');
});

test('every server lets its keys alone generate a root token, for which Vault 2 wants a token otherwise', async () => {
  for (const file of [
    'charts/vault/files/vault.hcl',
    'environments/common.yaml',
    'environments/production/settings.yaml',
    'lib/cluster/embedded/vault.hcl',
  ])
    assert.match(
      await readFile(join(root, file), 'utf8'),
      /^ *disable_mlock = true\n *enable_unauthenticated_access = \["generate-root"\]$/m,
      file,
    );
});

test.run();
