import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ofKind, only, render } from '../../charts/render.ts';
import { once } from '../../charts/tools.ts';
import { type ApiServer, startApiServer } from '../api-server.ts';
import { dryRunOn, list, podsOf, resourceTypes, toolOf } from './ask.ts';
import { renderEverything } from './environments.ts';

/*
 * The embedded cluster's Kubernetes and the newest version accept everything that is rendered, without warnings: API
 * servers only, without controllers.
 */

const everything = once(renderEverything);

for (const tool of ['kube-apiserver', 'kube-apiserver-newest'] as const) {
  const charts = suite(`charts and ${tool}`);
  let server: ApiServer;

  const apply = (objects: readonly object[]) =>
    server.kubectl(['apply', '--server-side', '-f', '-'], list(objects));

  charts.before(async () => {
    const [etcd, kubeApiserver] = await Promise.all([toolOf('etcd'), toolOf(tool)]);
    server = await startApiServer({ etcd: etcd.path, kubeApiserver: kubeApiserver.path });
    const types = await resourceTypes(await everything());
    await apply(types);
    const names = types.map(({ metadata }) => `crd/${metadata.name}`);
    await server.kubectl(['wait', '--for', 'condition=Established', '--timeout', '60s', ...names]);
    // Quotas would refuse every pod, because no controller calculates usage.
    const devops = await render('devops', { release: 'devops', namespace: 'core' });
    const namespaces = ofKind(devops, 'Namespace');
    await apply([...namespaces, ...ofKind(devops, 'PriorityClass')]);
    await apply([
      ...ofKind(devops, 'LimitRange'),
      ...['default', ...namespaces.map(({ metadata }) => metadata.name)].map((namespace) => ({
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: 'default', namespace },
      })),
    ]);
  });

  charts('the server has the pinned version', async () => {
    const told = await server.kubectl(['get', '--raw', '/version']);
    const { version } = await toolOf(tool);
    assert.is((JSON.parse(told) as { gitVersion: string }).gitVersion, `v${version}`);
  });

  charts('every object and pod is accepted without a warning', async () => {
    const objects = await everything();
    const kinds = new Set(objects.map(({ kind }) => kind));
    for (const kind of [
      ...['VaultAuth', 'PriorityClass', 'HorizontalPodAutoscaler', 'Ingress', 'Job'],
      ...['ScaledObject', 'Cluster', 'ScheduledBackup', 'Middleware', 'HTTPRoute'],
      ...['PodMonitor', 'ServiceMonitor', 'PrometheusRule'],
    ])
      assert.ok(kinds.has(kind), kind);
    const wanted = [...objects, ...podsOf(objects)];
    const { exitCode, stdout, stderr } = await dryRunOn(server, wanted);
    assert.is(stderr, '');
    assert.is(exitCode, 0);
    assert.is(stdout.trim().split('\n').length, wanted.length);
  });

  charts('an extra field, a wrong type and an unknown kind are refused', async () => {
    const namespace = 'backend';
    const values = { autoscaling: { enabled: true, kind: 'keda' } };
    const objects = await render('backend', { namespace, values });
    const account = only(objects, 'ServiceAccount');
    const scaled = only(objects, 'ScaledObject');
    for (const [wrong, why] of [
      [{ ...account, heard: 'of never' }, 'unknown field "heard"'],
      [{ ...scaled, spec: { ...scaled.spec, heard: 1 } }, 'unknown field "heard" in sh.keda'],
      [{ ...scaled, spec: { ...scaled.spec, maxReplicaCount: 'many' } }, 'spec.maxReplicaCount'],
      [{ ...account, kind: 'ServiceAcount' }, 'no matches for kind "ServiceAcount"'],
    ] as const)
      assert.match((await dryRunOn(server, [wrong])).stderr, why);
  });

  charts.after(() => server?.stop());
  charts.run();
}
