import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { amount } from './quantity.ts';
import {
  type ChartName,
  chartNames,
  type KubernetesObject,
  ofKind,
  only,
  podTemplates,
  render,
  type Tree,
  tryRender,
} from './render.ts';
import { cleanUp } from './tools.ts';

const test = suite('pods');
test.after(cleanUp);

const charts: readonly (readonly [ChartName, Tree])[] = [
  ['backend', {}],
  ['frontend', {}],
  ['metrics-server', {}],
  ['postgresql', {}],
  ['stand-in', { workload: { kind: 'StatefulSet' } }],
  ['traefik', {}],
  ['vault', {}],
];

/** Pods that call the API server and have a token for it. */
const askers: readonly ChartName[] = ['metrics-server', 'traefik', 'vault'];

for (const [chart, values] of charts) {
  test(`${chart}: pods comply with Pod Security "restricted", and more`, async () => {
    for (const [name, pod] of podTemplates(await render(chart, { values }))) {
      assert.is(pod.securityContext.runAsNonRoot, true, name);
      assert.ok(pod.securityContext.runAsUser > 0, name);
      assert.is(pod.securityContext.seccompProfile.type, 'RuntimeDefault', name);
      assert.is(pod.automountServiceAccountToken, askers.includes(chart), name);
      assert.is(pod.enableServiceLinks, false, name);
      for (const forbidden of ['hostNetwork', 'hostPID', 'hostIPC']) assert.is(pod[forbidden], undefined);
      for (const volume of pod.volumes ?? []) assert.is(volume.hostPath, undefined);
      for (const container of pod.containers) {
        assert.is(container.securityContext.allowPrivilegeEscalation, false, name);
        assert.is(container.securityContext.readOnlyRootFilesystem, true, name);
        assert.equal(container.securityContext.capabilities, { drop: ['ALL'] }, name);
        assert.match(container.image, /^[^:@]+:[^:@]+$/, name);
        assert.not.match(container.image, /:latest/);
        const { requests, limits } = container.resources;
        assert.ok(
          amount(requests.cpu) <= amount(limits.cpu) && amount(requests.memory) <= amount(limits.memory),
          name,
        );
      }
    }
  });
}

test('long-running pods have all three probes, Jobs have a deadline', async () => {
  for (const chart of ['backend', 'frontend', 'metrics-server', 'postgresql', 'traefik', 'vault'] as const) {
    const objects = await render(chart);
    const workload = objects.find(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
    const [container] = workload?.spec.template.spec.containers ?? [];
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'])
      assert.ok(container[probe], `${chart} ${probe}`);
  }
  const job = only(await render('backend'), 'Job').spec;
  assert.ok(job.activeDeadlineSeconds > 0 && job.ttlSecondsAfterFinished > 0 && job.backoffLimit >= 0);
  assert.is(job.template.spec.restartPolicy, 'Never');
  assert.is(job.template.spec.containers[0].terminationMessagePolicy, 'FallbackToLogsOnError');
});

test('a pod drains before it stops, within its grace period', async () => {
  for (const chart of ['backend', 'frontend', 'traefik'] as const) {
    const pod = only(await render(chart, { values: { drainSeconds: 40 } }), 'Deployment').spec.template.spec;
    assert.is(pod.containers[0].lifecycle.preStop.sleep.seconds, 40);
    assert.ok(pod.terminationGracePeriodSeconds > 40);
  }
});

test('PostgreSQL shuts down fast, because it would wait for its clients otherwise', async () => {
  const pod = only(await render('postgresql'), 'StatefulSet').spec.template.spec;
  assert.equal(pod.containers[0].lifecycle.preStop.exec.command, ['sh', '-c', 'kill -INT 1']);
  assert.is(pod.terminationGracePeriodSeconds, 60);
});

test('five old revisions are kept for rollbacks', async () => {
  for (const chart of chartNames.filter((name) => name !== 'devops')) {
    const workload = (await render(chart)).find(
      ({ kind }) => kind === 'Deployment' || kind === 'StatefulSet',
    );
    assert.is(workload?.spec.revisionHistoryLimit, 5, chart);
  }
});

test('applications are spread over nodes and zones', async () => {
  for (const chart of ['backend', 'frontend'] as const) {
    const constraints = async (spread: string) =>
      only(
        await render(chart, { values: { spread } }),
        'Deployment',
      ).spec.template.spec.topologySpreadConstraints?.map(
        (one: { topologyKey: string; whenUnsatisfiable: string }) =>
          `${one.topologyKey} ${one.whenUnsatisfiable}`,
      );
    const zone = 'topology.kubernetes.io/zone ScheduleAnyway';
    assert.equal(await constraints('preferred'), ['kubernetes.io/hostname ScheduleAnyway', zone]);
    assert.equal(await constraints('required'), ['kubernetes.io/hostname DoNotSchedule', zone]);
    assert.is(await constraints('none'), undefined);
  }
});

test('applications get the limits of the specification', async () => {
  const limits = async (chart: ChartName) =>
    only(await render(chart), 'Deployment').spec.template.spec.containers[0].resources.limits;
  assert.equal(await limits('backend'), { cpu: '100m', memory: '128Mi' });
  assert.equal(await limits('frontend'), { cpu: '100m', memory: '256Mi' });
  const ranges = ofKind(await render('devops'), 'LimitRange');
  for (const namespace of ['backend', 'frontend']) {
    const range = ranges.find(({ metadata }) => metadata.namespace === namespace);
    const [limit] = range?.spec.limits ?? [];
    assert.is(limit.type, 'Container');
    assert.equal(limit.defaultRequest, { cpu: '100m', memory: '100Mi' });
    assert.equal(limit.max, { cpu: '500m', memory: '500Mi' });
  }
});

test('namespaces outlive the release and reject pods that are not "restricted"', async () => {
  const namespaces = ofKind(await render('devops'), 'Namespace');
  assert.equal(namespaces.map(({ metadata }) => metadata.name).sort(), [
    'backend',
    'core',
    'database',
    'frontend',
    'vault',
  ]);
  for (const { metadata } of namespaces) {
    assert.is(metadata.annotations?.['helm.sh/resource-policy'], 'keep');
    for (const mode of ['enforce', 'audit', 'warn'])
      assert.is(metadata.labels?.[`pod-security.kubernetes.io/${mode}`], 'restricted', metadata.name);
  }
});

test('a namespace set to null is not created', async () => {
  const objects = await render('devops', { values: { namespaces: { vault: null } } });
  assert.not.ok(objects.some(({ metadata }) => metadata.name === 'vault' || metadata.namespace === 'vault'));
});

test('with an autoscaler, the Deployment sets no number of pods', async () => {
  const fixed = await render('backend', { values: { replicas: 4 } });
  assert.is(only(fixed, 'Deployment').spec.replicas, 4);
  assert.equal(ofKind(fixed, 'HorizontalPodAutoscaler'), []);
  const scaled = await render('backend', { values: { replicas: 4, autoscaling: { enabled: true } } });
  assert.is(only(scaled, 'Deployment').spec.replicas, undefined);
  assert.is(only(scaled, 'HorizontalPodAutoscaler').spec.minReplicas, 3);
  const narrow = await render('backend', {
    values: { autoscaling: { enabled: true, minReplicas: 4, maxReplicas: 2 } },
  });
  assert.is(only(narrow, 'HorizontalPodAutoscaler').spec.maxReplicas, 4, 'at least the minimum');
});

test('an autoscaler is either an HPA or a ScaledObject, with the same scaling behavior', async () => {
  const behavior = { scaleDown: { stabilizationSeconds: 600, pods: 2, periodSeconds: 90 } };
  const triggers = {
    hours: { type: 'cron', metadata: { timezone: 'Etc/UTC', start: '0 8 * * *', desiredReplicas: '6' } },
    load: {
      type: 'prometheus',
      metadata: { serverAddress: 'http://prometheus:9090', query: 'sum(rate(a[1m]))', threshold: '5' },
      authentication: 'prometheus-reader',
    },
    none: null,
  };
  const scaled = async (kind: 'hpa' | 'keda') => {
    const autoscaling = { enabled: true, kind, minReplicas: 4, maxReplicas: 2, behavior, keda: { triggers } };
    const objects = await render('backend', { values: { autoscaling } });
    assert.is(only(objects, 'Deployment').spec.replicas, undefined, kind);
    assert.is(ofKind(objects, 'HorizontalPodAutoscaler').length, kind === 'hpa' ? 1 : 0);
    assert.is(ofKind(objects, 'ScaledObject').length, kind === 'keda' ? 1 : 0);
    return objects;
  };
  const hpa = only(await scaled('hpa'), 'HorizontalPodAutoscaler');
  const { spec } = only(await scaled('keda'), 'ScaledObject');
  assert.equal(hpa.spec.behavior.scaleDown, {
    stabilizationWindowSeconds: 600,
    policies: [{ type: 'Pods', value: 2, periodSeconds: 90 }],
  });
  assert.is(hpa.spec.behavior.scaleUp.stabilizationWindowSeconds, 0);
  assert.equal(spec.advanced.horizontalPodAutoscalerConfig.behavior, hpa.spec.behavior);
  assert.equal(spec.scaleTargetRef, hpa.spec.scaleTargetRef);
  assert.equal([spec.minReplicaCount, spec.maxReplicaCount], [4, 4], 'at least the minimum');
  assert.equal(spec.triggers, [
    { type: 'cpu', metricType: 'Utilization', metadata: { value: '80' } },
    { name: 'hours', type: 'cron', metadata: triggers.hours.metadata },
    {
      name: 'load',
      type: 'prometheus',
      metadata: triggers.load.metadata,
      authenticationRef: { name: 'prometheus-reader' },
    },
  ]);
});

test('a disruption budget exists only with two pods or more', async () => {
  const budgets = async (chart: ChartName, values: Tree) =>
    ofKind(await render(chart, { values }), 'PodDisruptionBudget').length;
  assert.is(await budgets('backend', { replicas: 1 }), 0);
  assert.is(await budgets('backend', { replicas: 2 }), 1);
  assert.is(await budgets('backend', { replicas: 1, autoscaling: { enabled: true, minReplicas: 2 } }), 1);
  assert.is(await budgets('backend', { replicas: 2, autoscaling: { enabled: true, minReplicas: 1 } }), 0);
  assert.is(await budgets('frontend', { replicas: 1 }), 0);
  assert.is(await budgets('frontend', { replicas: 2 }), 1);
});

test('the check is always a helm test, and with autoRollback also a hook that can fail the release', async () => {
  const hook = async (autoRollback: boolean) =>
    only(await render('backend', { values: { autoRollback } }), 'Job').metadata.annotations;
  assert.is((await hook(false))?.['helm.sh/hook'], 'test');
  assert.is((await hook(true))?.['helm.sh/hook'], 'test,post-install,post-upgrade');
  assert.is((await hook(true))?.['helm.sh/hook-delete-policy'], 'before-hook-creation,hook-succeeded');
});

test('the database Secret comes from Vault or SOPS, and only one component restarts the pods', async () => {
  const vault = await render('backend', { release: 'app1-back' });
  const secret = only(vault, 'VaultDynamicSecret').spec;
  assert.is(secret.destination.name, 'app1-back-database');
  assert.is(secret.destination.transformation.excludeRaw, true);
  assert.is(secret.vaultAuthRef, only(vault, 'VaultAuth').metadata.name);
  assert.equal(only(vault, 'VaultAuth').spec.kubernetes, {
    role: 'app1-back',
    serviceAccount: only(vault, 'ServiceAccount').metadata.name,
    audiences: ['vault'],
  });
  assert.is(only(vault, 'Deployment').metadata.annotations, undefined);

  const sops = await render('backend', { release: 'app2-back', values: { secrets: { managedBy: 'sops' } } });
  assert.equal(
    sops.filter(({ kind }) => /^Vault|^Secret$/.test(kind)).map(({ kind }) => kind),
    [],
  );
  assert.equal(only(sops, 'Deployment').metadata.annotations, {
    'secret.reloader.stakater.com/reload': 'app2-back-database',
  });
  for (const [objects, name] of [
    [vault, 'app1-back-database'],
    [sops, 'app2-back-database'],
  ] as const) {
    const [container] = only(objects, 'Deployment').spec.template.spec.containers;
    assert.equal(
      container.envFrom,
      [{ secretRef: { name } }],
      'not optional: no Secret, no running container',
    );
  }
});

test('a dynamic secret has the login from Vault and the address from the values, a static one has all from Vault', async () => {
  const secrets = async (vault: Record<string, unknown>) => {
    const database = { host: 'db.example', name: 'app1', port: 5433 };
    const values = { secrets: { vault: { path: 'some/path', ...vault } }, database };
    const found = (await render('backend', { values })).filter(({ kind }) => /^Vault.*Secret$/.test(kind));
    assert.is(found.length, 1);
    return found[0] as KubernetesObject;
  };
  const dynamic = await secrets({});
  assert.is(dynamic.kind, 'VaultDynamicSecret');
  assert.is(`${dynamic.spec.mount}/${dynamic.spec.path}`, 'database/some/path');
  const { templates, excludes } = dynamic.spec.destination.transformation;
  assert.equal(excludes, ['.*']);
  assert.equal(templates, {
    DB_HOST: { text: 'db.example' },
    DB_PORT: { text: '5433' },
    DB_NAME: { text: 'app1' },
    DB_USER: { text: '{{ .Secrets.username }}' },
    DB_PASSWORD: { text: '{{ .Secrets.password }}' },
  });
  const fixed = await secrets({ kind: 'static' });
  assert.is(fixed.kind, 'VaultStaticSecret');
  assert.is(`${fixed.spec.mount}/${fixed.spec.path}`, 'kv/some/path');
  const [includes] = fixed.spec.destination.transformation.includes;
  for (const name of Object.keys(templates)) assert.match(name, new RegExp(includes));
  for (const { spec } of [dynamic, fixed]) {
    assert.is(spec.destination.transformation.excludeRaw, true);
    assert.equal(spec.rolloutRestartTargets, [{ kind: 'Deployment', name: 'app' }]);
  }
});

test('a Job of the release creates roles and databases after each install and upgrade', async () => {
  const values = {
    applications: { app1: { password: '' }, app2: { password: 'two' }, gone: null },
    issuers: { vault: { password: 'three' } },
  };
  const objects = await render('postgresql', { values });
  const job = only(objects, 'Job');
  assert.is(job.metadata.annotations?.['helm.sh/hook'], 'post-install,post-upgrade');
  const [container] = job.spec.template.spec.containers;
  const [from] = container.env.filter(({ name }: { name: string }) => name === 'DATABASE_ROLES');
  const { name, key } = from.valueFrom.secretKeyRef;
  assert.equal(JSON.parse(only(objects, 'Secret', name).stringData[key]), {
    applications: { app1: { password: '' }, app2: { password: 'two' } },
    issuers: { vault: { password: 'three' } },
  });
  const { configMap } = job.spec.template.spec.volumes[0];
  assert.equal(Object.keys(only(objects, 'ConfigMap', configMap.name).data).sort(), [
    'database.sql',
    'roles.sql',
    'set-up.sh',
  ]);
});

test('PostgreSQL accepts only TLS, with a certificate from the values or an existing Secret', async () => {
  const objects = await render('postgresql', { values: { settings: { ssl: 'off' } } });
  const { spec, metadata } = only(objects, 'StatefulSet').spec.template;
  const args = (spec.containers[0].args as string[]).filter((word) => word !== '-c');
  // The last one counts.
  assert.ok(args.lastIndexOf('ssl=on') > args.indexOf('ssl=off'));
  assert.ok(args.includes('hba_file=/etc/postgresql-server/pg_hba.conf'));
  const rules = only(objects, 'ConfigMap', 'app-server').data['pg_hba.conf'] as string;
  const kinds = rules.split('\n').flatMap((line) => /^\w+/.exec(line) ?? []);
  assert.equal(kinds, ['local', 'hostssl']);
  assert.equal(Object.keys(only(objects, 'Secret', 'app-tls').stringData), ['tls.crt', 'tls.key', 'ca.crt']);

  const values = { tls: { existingSecret: 'from-cert-manager', certificate: '', key: '', authority: '' } };
  const foreign = await render('postgresql', { values });
  assert.not.ok(foreign.some(({ kind, metadata }) => kind === 'Secret' && metadata.name === 'app-tls'));
  const pod = only(foreign, 'StatefulSet').spec.template;
  const secrets = pod.spec.volumes.flatMap((volume: Tree) => (volume.secret as Tree)?.secretName ?? []);
  assert.ok(secrets.includes('from-cert-manager'));
  assert.not.equal(pod.metadata.annotations, metadata.annotations);

  const none = await tryRender('postgresql', {
    values: { tls: { certificate: '', key: '', authority: '' } },
  });
  assert.match(none.stderr, /tls needs existingSecret, or certificate, key and authority/);
});

test('a backend and its check mount the database CA at the path in their variable', async () => {
  const objects = await render('backend');
  const { data, metadata } = only(objects, 'ConfigMap');
  assert.equal(Object.keys(data), ['ca.crt']);
  const { spec } = only(objects, 'Deployment').spec.template;
  const variables = Object.fromEntries(
    spec.containers[0].env.map(({ name, value }: { name: string; value: string }) => [name, value]),
  );
  assert.is(variables.DB_SSLMODE, 'verify-full');
  for (const pod of [spec, only(objects, 'Job').spec.template.spec]) {
    const [mount] = pod.containers[0].volumeMounts;
    assert.is(`${mount.mountPath}/ca.crt`, variables.DB_SSLROOTCERT);
    assert.equal(pod.volumes, [{ name: mount.name, configMap: { name: metadata.name } }]);
  }
});

test('PostgreSQL requires a password for every connection, including local ones and port-forwards', async () => {
  const [container] = only(await render('postgresql'), 'StatefulSet').spec.template.spec.containers;
  const variable = (name: string) =>
    container.env.find((entry: { name: string }) => entry.name === name)?.value;
  assert.is(variable('POSTGRES_INITDB_ARGS'), '--auth-host=scram-sha-256 --auth-local=scram-sha-256');
  assert.is(variable('POSTGRES_PASSWORD_FILE'), '/run/secrets/postgresql/password');
  assert.is(variable('POSTGRES_PASSWORD'), undefined);
});

test('every simulated object and pod is marked as such', async () => {
  const objects = await render('stand-in', {
    values: { services: { app: { http: 80 } }, vaultAddress: 'http://vault:8200' },
  });
  for (const { kind, metadata } of objects)
    assert.is(metadata.labels?.['k8s-deployment/simulated'], 'true', kind);
  const pod = only(objects, 'Deployment').spec.template.metadata;
  assert.is(pod.labels['k8s-deployment/simulated'], 'true');
  assert.is(pod.annotations['k8s-deployment/simulated'], 'true');
});

test.run();
