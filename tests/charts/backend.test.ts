import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type KubernetesObject, ofKind, only, render, type Tree } from './render.ts';

const test = suite('backend');

const backend = (values: Tree = {}, release = 'app') => render('backend', { values, release });

test('applications get the limits of the specification', async () => {
  for (const [chart, memory] of [
    ['backend', '128Mi'],
    ['frontend', '256Mi'],
  ] as const) {
    const [container] = only(await render(chart), 'Deployment').spec.template.spec.containers;
    assert.equal(container.resources.limits, { cpu: '100m', memory, 'ephemeral-storage': '512Mi' });
  }
});

test('an autoscaler is either an HPA or a ScaledObject, with the same behavior, and sets the number of pods', async () => {
  const behavior = { scaleDown: { stabilizationSeconds: 600, pods: 2, periodSeconds: 90 } };
  const hours = { timezone: 'Etc/UTC', start: '0 8 * * *', desiredReplicas: '6' };
  const load = { serverAddress: 'http://prometheus:9090', query: 'sum(rate(a[1m]))', threshold: '5' };
  const triggers = {
    hours: { type: 'cron', metadata: hours },
    load: { type: 'prometheus', metadata: load, authentication: 'prometheus-reader' },
    none: null,
  };
  const scaled = async (kind: 'hpa' | 'keda', more: Tree = {}) => {
    const autoscaling = { enabled: true, kind, minReplicas: 4, maxReplicas: 2, behavior, keda: { triggers } };
    const objects = await backend({ autoscaling: { ...autoscaling, ...more }, replicas: 7 });
    const counted = ['HorizontalPodAutoscaler', 'ScaledObject'].map((one) => ofKind(objects, one).length);
    assert.equal(counted, more.enabled === false ? [0, 0] : kind === 'hpa' ? [1, 0] : [0, 1]);
    assert.is(only(objects, 'Deployment').spec.replicas, more.enabled === false ? 7 : undefined);
    return objects;
  };
  await scaled('hpa', { enabled: false });
  const hpa = only(await scaled('hpa'), 'HorizontalPodAutoscaler').spec;
  const { spec } = only(await scaled('keda'), 'ScaledObject');
  assert.equal(hpa.scaleTargetRef, { apiVersion: 'apps/v1', kind: 'Deployment', name: 'app' });
  assert.equal(hpa.behavior.scaleDown, {
    stabilizationWindowSeconds: 600,
    policies: [{ type: 'Pods', value: 2, periodSeconds: 90 }],
  });
  assert.is(hpa.behavior.scaleUp.stabilizationWindowSeconds, 0);
  assert.equal(spec.advanced.horizontalPodAutoscalerConfig.behavior, hpa.behavior);
  assert.equal(spec.scaleTargetRef, hpa.scaleTargetRef);
  assert.equal([hpa.minReplicas, hpa.maxReplicas], [4, 4], 'at least the minimum');
  assert.equal([spec.minReplicaCount, spec.maxReplicaCount], [4, 4], 'at least the minimum');
  const own = (type: string, value: string) => ({ type, metricType: 'Utilization', metadata: { value } });
  const others = [
    { name: 'hours', type: 'cron', metadata: hours },
    { name: 'load', type: 'prometheus', metadata: load, authenticationRef: { name: 'prometheus-reader' } },
  ];
  assert.equal(spec.triggers, [own('cpu', '80'), ...others]);
  const memory = { targetMemoryUtilizationPercentage: 70 };
  const { metrics } = only(await scaled('hpa', memory), 'HorizontalPodAutoscaler').spec;
  const targets = metrics.map(({ resource }: Tree) => resource);
  assert.equal(
    targets.map(({ name, target }: KubernetesObject) => [name, target.averageUtilization]),
    [
      ['cpu', 80],
      ['memory', 70],
    ],
  );
  const keda = only(await scaled('keda', memory), 'ScaledObject').spec;
  assert.equal(keda.triggers, [own('cpu', '80'), own('memory', '70'), ...others]);
});

test('the check is always a helm test, and with autoRollback also a hook that can fail the release', async () => {
  const hook = async (autoRollback: boolean) =>
    only(await backend({ autoRollback }), 'Job').metadata.annotations;
  assert.is((await hook(false))?.['helm.sh/hook'], 'test');
  assert.is((await hook(true))?.['helm.sh/hook'], 'test,post-install,post-upgrade');
  assert.is((await hook(true))?.['helm.sh/hook-delete-policy'], 'before-hook-creation,hook-succeeded');
  const { metadata, spec } = only(await backend(), 'Job');
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
  assert.is(only(vault, 'Deployment').metadata.annotations, undefined);
  const sops = await backend({ secrets: { managedBy: 'sops' } }, 'app2-back');
  assert.not.ok(sops.some(({ kind }) => /^Vault|^Secret$/.test(kind)));
  const reload = { 'secret.reloader.stakater.com/reload': 'app2-back-database' };
  assert.equal(only(sops, 'Deployment').metadata.annotations, reload);
  for (const [objects, name] of [
    [vault, 'app1-back-database'],
    [sops, 'app2-back-database'],
  ] as const) {
    const [container] = only(objects, 'Deployment').spec.template.spec.containers;
    // not optional: no Secret, no running container
    assert.equal(container.envFrom, [{ secretRef: { name } }]);
  }
});

test('variables of the values stand beside those of the database, whose Secret is the last and wins', async () => {
  const env = [{ name: 'MODE', value: 'fast' }];
  const envFrom = [{ configMapRef: { name: 'other' } }];
  const values = { env, envFrom, containerPorts: { http: 9000 } };
  const [container] = only(await backend(values), 'Deployment').spec.template.spec.containers;
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
    const deployment = only(await render(chart, { values: { livenessProbe: { exec } } }), 'Deployment');
    const [{ livenessProbe, readinessProbe }] = deployment.spec.template.spec.containers;
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
  assert.is(name, 'VaultDynamicSecret database/some/path');
  assert.equal(excludes, ['.*']);
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
  const { spec } = only(objects, 'Deployment').spec.template;
  const variable = (name: string) =>
    spec.containers[0].env.find((entry: { name: string }) => entry.name === name)?.value;
  assert.is(variable('DB_SSLMODE'), 'verify-full');
  for (const pod of [spec, only(objects, 'Job').spec.template.spec]) {
    const [mount] = pod.containers[0].volumeMounts;
    assert.is(`${mount.mountPath}/ca.crt`, variable('DB_SSLROOTCERT'));
    assert.equal(pod.volumes, [{ name: mount.name, configMap: { name: metadata.name } }]);
  }
});

test.run();
