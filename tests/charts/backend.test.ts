import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { containerOf, type KubernetesObject, only, podOf, render, type Tree } from './render.ts';

const test = suite('backend');

const backend = (values: Tree = {}) => render('backend', { values });

test('applications get the limits of the specification', async () => {
  for (const [chart, memory] of [
    ['backend', '128Mi'],
    ['frontend', '256Mi'],
  ] as const) {
    const { limits } = containerOf(await render(chart)).resources;
    assert.equal(limits, { cpu: '100m', memory, 'ephemeral-storage': '512Mi' });
  }
});

// What its values do: values.test.ts.
test('an autoscaler is either an HPA or a ScaledObject, with the same behavior, and sets the number of pods', async () => {
  const scaler = async (kind: string, enabled = true) => {
    const triggers = { load: { type: 'prometheus', metadata: { serverAddress: 'http://a' } }, none: null };
    const behavior = { scaleDown: { stabilizationSeconds: 600, pods: 2, periodSeconds: 90 } };
    const more = { targetMemoryUtilizationPercentage: 70, behavior, keda: { triggers } };
    const autoscaling = { enabled, kind, minReplicas: 4, maxReplicas: 2, ...more };
    const objects = await backend({ autoscaling, replicas: 7 });
    const found = objects.filter((object) => /^(HorizontalPodAutoscaler|ScaledObject)$/.test(object.kind));
    const { replicas } = only(objects, 'Deployment').spec;
    assert.equal([found.length, replicas], enabled ? [1, undefined] : [0, 7]);
    return found[0]?.spec;
  };
  await scaler('hpa', false);
  const [hpa, keda] = [await scaler('hpa'), await scaler('keda')];
  assert.equal(keda.scaleTargetRef, hpa.scaleTargetRef);
  assert.equal(keda.advanced.horizontalPodAutoscalerConfig.behavior, hpa.behavior);
  const policies = [{ type: 'Pods', value: 2, periodSeconds: 90 }];
  assert.equal(hpa.behavior.scaleDown, { stabilizationWindowSeconds: 600, policies });
  // at least the minimum
  const numbers = [hpa.minReplicas, hpa.maxReplicas, keda.minReplicaCount, keda.maxReplicaCount];
  assert.equal(numbers, [4, 4, 4, 4]);
  type Any = KubernetesObject['spec'];
  const used = hpa.metrics.map(
    ({ resource: { name, target } }: Any) => `${name} ${target.averageUtilization}`,
  );
  assert.equal(used, ['cpu 80', 'memory 70']);
  const triggers = keda.triggers.map(({ type, metadata }: Any) => `${type} ${metadata.value}`);
  assert.equal(triggers, [...used, 'prometheus undefined']);
});

test('the check is always a helm test, and with autoRollback also a hook that can fail the release', async () => {
  const check = async (autoRollback: boolean) => only(await backend({ autoRollback }), 'Job');
  assert.is((await check(false)).metadata.annotations?.['helm.sh/hook'], 'test');
  const { metadata, spec } = await check(true);
  assert.is(metadata.annotations?.['helm.sh/hook'], 'test,post-install,post-upgrade');
  assert.is(metadata.annotations?.['helm.sh/hook-delete-policy'], 'before-hook-creation,hook-succeeded');
  assert.ok(spec.activeDeadlineSeconds > 0 && spec.ttlSecondsAfterFinished > 0 && spec.backoffLimit >= 0);
  assert.is(spec.template.spec.restartPolicy, 'Never');
  assert.is(spec.template.spec.containers[0].terminationMessagePolicy, 'FallbackToLogsOnError');
  for (const { annotations } of [metadata, spec.template.metadata])
    assert.is(annotations['k8s-deployment/verify-deployment'], 'app');
});

// That of Vault holds what the backend needs, and reaches it: tests/integration/applications.
test('without Vault, the database Secret restarts the pods by Reloader; neither is optional', async () => {
  const sops = await backend({ secrets: { managedBy: 'sops' } });
  assert.not.ok(sops.some(({ kind }) => /^Vault|^Secret$/.test(kind)));
  const reload = { 'secret.reloader.stakater.com/reload': 'app-database' };
  for (const [objects, annotations] of [
    [await backend(), undefined],
    [sops, reload],
  ] as const) {
    assert.equal(only(objects, 'Deployment').metadata.annotations, annotations);
    // not optional: no Secret, no running container
    assert.equal(containerOf(objects).envFrom, [{ secretRef: { name: 'app-database' } }]);
  }
});

test('variables of the values stand beside those of the database, whose Secret is the last and wins', async () => {
  const env = [{ name: 'MODE', value: 'fast' }];
  const envFrom = [{ configMapRef: { name: 'other' } }];
  const container = containerOf(await backend({ env, envFrom, containerPorts: { http: 9000 } }));
  const names = container.env.map(({ name }: { name: string }) => name);
  assert.equal(names, ['WHOAMI_PORT_NUMBER', 'DB_SSLMODE', 'DB_SSLROOTCERT', 'MODE']);
  assert.equal(container.envFrom, [...envFrom, { secretRef: { name: 'app-database' } }]);
  assert.equal([container.env[0].value, container.ports[0].containerPort], ['9000', 9000]);
});

// A dynamic one: tests/integration/applications.
test('a static secret of Vault has all parameters', async () => {
  const objects = await backend({ secrets: { vault: { kind: 'static', path: 'some/path' } } });
  const { spec } = only(objects, 'VaultStaticSecret');
  const { includes, excludeRaw } = spec.destination.transformation;
  assert.equal([spec.mount, spec.path, excludeRaw], ['kv', 'some/path', true]);
  for (const name of ['HOST', 'PORT', 'NAME', 'USER', 'PASSWORD'])
    assert.match(`DB_${name}`, RegExp(includes[0]));
});

test('a backend and its check mount the database CA at the path in their variable', async () => {
  const objects = await backend();
  const { data, metadata } = only(objects, 'ConfigMap');
  assert.equal(Object.keys(data), ['ca.crt']);
  const { DB_SSLMODE, DB_SSLROOTCERT } = Object.fromEntries(
    containerOf(objects).env.map(({ name, value }: Tree) => [name, value]),
  );
  assert.is(DB_SSLMODE, 'verify-full');
  for (const { containers, volumes } of [podOf(objects), podOf(objects, 'Job')]) {
    const [{ name, mountPath }] = containers[0].volumeMounts;
    assert.is(`${mountPath}/ca.crt`, DB_SSLROOTCERT);
    assert.equal(volumes, [{ name, configMap: { name: metadata.name } }]);
  }
});

test.run();
