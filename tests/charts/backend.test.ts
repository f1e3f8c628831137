import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { containerOf, type KubernetesObject, only, podOf, render, type Tree } from './render.ts';

const test = suite('backend');

const backend = (values: Tree = {}, release = 'app') => render('backend', { values, release });

test('applications get the limits of the specification', async () => {
  for (const [chart, memory] of [
    ['backend', '128Mi'],
    ['frontend', '256Mi'],
  ] as const) {
    const { limits } = containerOf(await render(chart)).resources;
    assert.equal(limits, { cpu: '100m', memory, 'ephemeral-storage': '512Mi' });
  }
});

test('an autoscaler is either an HPA or a ScaledObject, with the same behavior, and sets the number of pods', async () => {
  const hours = { timezone: 'Etc/UTC', start: '0 8 * * *', desiredReplicas: '6' };
  const load = { serverAddress: 'http://prometheus:9090', query: 'sum(rate(a[1m]))', threshold: '5' };
  const triggers = {
    hours: { type: 'cron', metadata: hours },
    load: { type: 'prometheus', metadata: load, authentication: 'prometheus-reader' },
    none: null,
  };
  const scaler = async (kind: 'hpa' | 'keda', more: Tree = {}) => {
    const behavior = { scaleDown: { stabilizationSeconds: 600, pods: 2, periodSeconds: 90 } };
    const autoscaling = { enabled: true, kind, minReplicas: 4, maxReplicas: 2, behavior, keda: { triggers } };
    const objects = await backend({ autoscaling: { ...autoscaling, ...more }, replicas: 7 });
    const found = objects.filter((object) => /^(HorizontalPodAutoscaler|ScaledObject)$/.test(object.kind));
    const { replicas } = only(objects, 'Deployment').spec;
    assert.equal([found.length, replicas], more.enabled === false ? [0, 7] : [1, undefined]);
    return found[0] as KubernetesObject;
  };
  await scaler('hpa', { enabled: false });
  const memory = { targetMemoryUtilizationPercentage: 70 };
  const [hpa, both] = [await scaler('hpa'), await scaler('hpa', memory)];
  const [keda, all] = [await scaler('keda'), await scaler('keda', memory)];
  assert.equal([hpa.kind, keda.kind], ['HorizontalPodAutoscaler', 'ScaledObject']);
  const { scaleTargetRef, behavior } = hpa.spec;
  assert.equal(scaleTargetRef, { apiVersion: 'apps/v1', kind: 'Deployment', name: 'app' });
  assert.equal(behavior.scaleDown, {
    stabilizationWindowSeconds: 600,
    policies: [{ type: 'Pods', value: 2, periodSeconds: 90 }],
  });
  assert.is(behavior.scaleUp.stabilizationWindowSeconds, 0);
  const { advanced, minReplicaCount, maxReplicaCount } = keda.spec;
  assert.equal(
    [keda.spec.scaleTargetRef, advanced.horizontalPodAutoscalerConfig.behavior],
    [scaleTargetRef, behavior],
  );
  // at least the minimum
  const numbers = [hpa.spec.minReplicas, hpa.spec.maxReplicas, minReplicaCount, maxReplicaCount];
  assert.equal(numbers, [4, 4, 4, 4]);
  const used = both.spec.metrics.map(({ resource }: KubernetesObject) => [
    resource.name,
    resource.target.averageUtilization,
  ]);
  assert.equal(used.flat(), ['cpu', 80, 'memory', 70]);
  const own = (type: string, value: string) => ({ type, metricType: 'Utilization', metadata: { value } });
  const others = [
    { name: 'hours', type: 'cron', metadata: hours },
    { name: 'load', type: 'prometheus', metadata: load, authenticationRef: { name: 'prometheus-reader' } },
  ];
  assert.equal(keda.spec.triggers, [own('cpu', '80'), ...others]);
  assert.equal(all.spec.triggers, [own('cpu', '80'), own('memory', '70'), ...others]);
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

test('the database Secret comes from Vault or SOPS, and only one component restarts the pods', async () => {
  const vault = await backend({}, 'app1-back');
  const { spec } = only(vault, 'VaultDynamicSecret');
  assert.equal([spec.destination.name, spec.vaultAuthRef], ['app1-back-database', 'app1-back']);
  assert.equal(only(vault, 'VaultAuth').spec.kubernetes, {
    role: 'app1-back',
    serviceAccount: only(vault, 'ServiceAccount').metadata.name,
    audiences: ['vault'],
  });
  const sops = await backend({ secrets: { managedBy: 'sops' } }, 'app2-back');
  assert.not.ok(sops.some(({ kind }) => /^Vault|^Secret$/.test(kind)));
  for (const [objects, name, annotations] of [
    [vault, 'app1-back-database', undefined],
    [sops, 'app2-back-database', { 'secret.reloader.stakater.com/reload': 'app2-back-database' }],
  ] as const) {
    assert.equal(only(objects, 'Deployment').metadata.annotations, annotations);
    // not optional: no Secret, no running container
    assert.equal(containerOf(objects).envFrom, [{ secretRef: { name } }]);
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

test('another handler replaces the default one of a probe, and its times stay', async () => {
  const exec = { command: ['/bin/true'] };
  for (const [chart, path] of [
    ['backend', '/health'],
    ['frontend', '/ready'],
  ] as const) {
    const { livenessProbe, readinessProbe } = containerOf(
      await render(chart, { values: { livenessProbe: { exec } } }),
    );
    const { exec: found, httpGet, periodSeconds } = livenessProbe;
    assert.equal([found, httpGet, periodSeconds], [exec, undefined, 10]);
    assert.is(readinessProbe.httpGet.path, path);
  }
});

test('a dynamic secret has the login from Vault and the address from the values, a static one has all from Vault', async () => {
  const secrets = async (vault: Tree) => {
    const database = { host: 'db.example', name: 'app1', port: 5433 };
    const values = { secrets: { vault: { path: 'some/path', ...vault } }, database };
    const [found, ...others] = (await backend(values)).filter(({ kind }) => /^Vault.*Secret$/.test(kind));
    assert.equal(others, []);
    const { kind, spec } = found as KubernetesObject;
    assert.is(spec.destination.transformation.excludeRaw, true);
    assert.equal(spec.rolloutRestartTargets, [{ kind: 'Deployment', name: 'app' }]);
    return { name: `${kind} ${spec.mount}/${spec.path}`, ...spec.destination.transformation };
  };
  const { name, excludes, templates } = await secrets({});
  assert.equal([name, excludes], ['VaultDynamicSecret database/some/path', ['.*']]);
  assert.equal(templates, {
    DB_HOST: { text: 'db.example' },
    DB_PORT: { text: '5433' },
    DB_NAME: { text: 'app1' },
    DB_USER: { text: '{{ .Secrets.username }}' },
    DB_PASSWORD: { text: '{{ .Secrets.password }}' },
  });
  const fixed = await secrets({ kind: 'static' });
  assert.is(fixed.name, 'VaultStaticSecret kv/some/path');
  for (const variable of Object.keys(templates)) assert.match(variable, new RegExp(fixed.includes[0]));
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
