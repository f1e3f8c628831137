import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type KubernetesObject, objectsOf, ofKind, render } from '../../charts/render.ts';
import { cleanUp } from '../../charts/tools.ts';
import { type ApiServer, startApiServer } from '../api-server.ts';
import { dryRunOn, list, podsOf } from './ask.ts';
import { environments } from './environments.ts';
import { conform, resourceTypes, toolOf } from './kubeconform.ts';

/* The newest Kubernetes that can be had takes all that is rendered, without a word: an API server alone, without controllers. */

const newest = suite('charts and the newest API server');
let server: ApiServer;

const apply = (objects: readonly object[]) =>
  server.kubectl(['apply', '--server-side', '-f', '-'], list(objects));

newest.before(async () => {
  const [etcd, kubeApiserver] = await Promise.all([toolOf('etcd'), toolOf('kube-apiserver-newest')]);
  server = await startApiServer({ etcd: etcd.path, kubeApiserver: kubeApiserver.path });
  const types = await resourceTypes();
  await apply(types);
  const names = types.map(({ metadata }) => `crd/${metadata.name}`);
  await server.kubectl(['wait', '--for', 'condition=Established', '--timeout', '60s', ...names]);
  // Quotas would refuse every pod: nobody measures what is used.
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

newest('it is the version that the manifest pins', async () => {
  const told = await server.kubectl(['get', '--raw', '/version']);
  const { version } = await toolOf('kube-apiserver-newest');
  assert.is((JSON.parse(told) as { gitVersion: string }).gitVersion, `v${version}`);
});

for (const [name, rendered] of environments) {
  newest(`${name}: every object and every pod is taken, without a warning`, async () => {
    const objects = await rendered();
    for (const wanted of [objects, podsOf(objects)]) {
      if (wanted.length === 0) continue;
      const { exitCode, stdout, stderr } = await dryRunOn(server, wanted);
      assert.is(stderr, '');
      assert.is(exitCode, 0);
      assert.is(stdout.trim().split('\n').length, wanted.length);
    }
  });
}

newest('everything fits the schemas of this version, and nothing is left out', async () => {
  const objects: KubernetesObject[] = [];
  for (const [, rendered] of environments) objects.push(...(await rendered()));
  const { summary, problems } = await conform(server, objects);
  assert.equal(problems, []);
  assert.equal(summary, { valid: objects.length, invalid: 0, errors: 0, skipped: 0 });
});

newest('what is wrong is refused: a field too much, and a type that there is not', async () => {
  const [account] = objectsOf('{apiVersion: v1, kind: ServiceAccount, metadata: {name: a, namespace: core}}');
  const wrong = await dryRunOn(server, [{ ...account, heard: 'of never' }]);
  assert.match(wrong.stderr, 'unknown field "heard"');
  const unknown = await dryRunOn(server, [{ ...account, apiVersion: 'v2' }]);
  assert.is.not(unknown.exitCode, 0);
});

newest.after(async () => {
  await cleanUp();
  await server?.stop();
});

newest.run();
