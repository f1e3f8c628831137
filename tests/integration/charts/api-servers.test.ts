import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ofKind, render } from '../../charts/render.ts';
import { type ApiServer, startApiServer } from '../api-server.ts';
import { dryRunOn, list, podsOf } from './ask.ts';
import { renderEverything } from './environments.ts';
import { conform, resourceTypes, toolOf } from './kubeconform.ts';

/*
 * The embedded cluster's Kubernetes and the newest version accept everything that is rendered, without warnings: API
 * servers only, without controllers. kubeconform is asked about the first alone: both servers validate strictly.
 */

let rendered: ReturnType<typeof renderEverything> | undefined;
const everything = () => {
  rendered ??= renderEverything();
  return rendered;
};

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
    const wanted = [...objects, ...podsOf(objects)];
    const { exitCode, stdout, stderr } = await dryRunOn(server, wanted);
    assert.is(stderr, '');
    assert.is(exitCode, 0);
    assert.is(stdout.trim().split('\n').length, wanted.length);
  });

  charts.after(() => server?.stop());
  if (tool === 'kube-apiserver-newest') {
    charts.run();
    continue;
  }

  charts('everything matches the schemas of this version, without exception', async () => {
    const objects = await everything();
    const kinds = new Set(objects.map(({ kind }) => kind));
    for (const kind of [
      ...['VaultAuth', 'PriorityClass', 'HorizontalPodAutoscaler', 'Ingress', 'Job'],
      ...['ScaledObject', 'Cluster', 'ScheduledBackup', 'Middleware', 'HTTPRoute'],
      ...['PodMonitor', 'ServiceMonitor', 'PrometheusRule'],
    ])
      assert.ok(kinds.has(kind), kind);
    const { summary, problems } = await conform(server, objects);
    assert.equal(problems, []);
    assert.equal(summary, { valid: objects.length, invalid: 0, errors: 0, skipped: 0 });
  });

  charts('an extra field, a wrong type and an unknown kind are reported', async () => {
    const objects = await render('backend', {
      namespace: 'backend',
      values: { autoscaling: { enabled: true, kind: 'keda' } },
    });
    const [account] = ofKind(objects, 'ServiceAccount');
    const [scaled] = ofKind(objects, 'ScaledObject');
    const [deployment] = ofKind(objects, 'Deployment');
    assert.ok(account && scaled && deployment);
    const wrong = [
      { ...account, heard: 'of never' },
      { ...scaled, spec: { ...scaled.spec, maxReplicaCount: 'many' } },
      { ...deployment, spec: { ...deployment.spec, template: { spec: { containers: [{ nam: 'a' }] } } } },
      { ...account, kind: 'ServiceAcount' },
    ];
    const { summary, problems } = await conform(server, wrong);
    assert.equal(summary, { valid: 0, invalid: 3, errors: 1, skipped: 0 });
    assert.match(problems.join('\n'), "'heard' not allowed");
    assert.match(problems.join('\n'), 'could not find schema for ServiceAcount');
    // The server refuses them as well.
    const { stderr } = await dryRunOn(server, [wrong[0] ?? {}]);
    assert.match(stderr, 'unknown field "heard"');
    assert.is.not((await dryRunOn(server, [{ ...account, apiVersion: 'v2' }])).exitCode, 0);
  });

  charts.run();
}
