import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type KubernetesObject,
  objectsOf,
  type Provider,
  render,
  renderEnvironment,
  type Tree,
} from '../../charts/render.ts';
import { cleanUp } from '../../charts/tools.ts';
import { ourNamespaces } from '../../network/connections.ts';
import { makeSandbox, type Sandbox } from '../sandbox.ts';
import { call, dryRunOn, list, podOf, podsOf } from './ask.ts';
import { asTeam, parseRights, questions, rightsOf } from './rights.ts';

/*
 * What a real API server says of the charts: schemas of all kinds, Pod Security, LimitRanges, quotas, priorities and the
 * rights of the teams. Only the release devops is installed; the rest is asked for by server-side dry runs.
 */

const charts = suite('charts and the API server');
let sandbox: Sandbox;

const kubectl = (...args: readonly string[]) => call(sandbox, 'kubectl', args);
const dryRun = (objects: readonly object[], ...more: readonly string[]) => dryRunOn(sandbox, objects, more);

const byRelease = async (provider: Provider): Promise<ReadonlyMap<string, KubernetesObject[]>> => {
  const rendered = await renderEnvironment(provider);
  return new Map([...rendered].map(([release, text]) => [release, objectsOf(text)]));
};

charts.before(async () => {
  sandbox = await makeSandbox();
  for (const words of [['create-k8s'], ['install-app', 'devops']]) {
    const { exitCode, stderr } = await sandbox.task(...words);
    assert.is(exitCode, 0, stderr);
  }
});

for (const provider of ['embedded', 'minikube', 'existing'] as const) {
  charts(
    `${provider}: the API server takes every object, and would take every pod, without a warning`,
    async () => {
      const objects = [...(await byRelease(provider)).values()].flat();
      const kinds = new Set(objects.map(({ kind }) => kind));
      for (const kind of [
        'VaultAuth',
        'VaultDynamicSecret',
        'PriorityClass',
        'HorizontalPodAutoscaler',
        'Ingress',
      ])
        assert.ok(kinds.has(kind), kind);
      for (const wanted of [objects, podsOf(objects)]) {
        const { exitCode, stdout, stderr } = await dryRun(wanted);
        assert.is(stderr, '');
        assert.is(exitCode, 0);
        assert.is(stdout.trim().split('\n').length, wanted.length);
      }
    },
  );
}

charts(
  'what an environment may set is taken, too: no persistence, other spread, digests, no budget',
  async () => {
    const image = { digest: `sha256:${'0'.repeat(64)}` };
    const variants: readonly (readonly ['backend' | 'frontend' | 'postgresql' | 'stand-in', string, Tree])[] =
      [
        ['backend', 'backend', { image, spread: 'required', replicas: 1, secrets: { managedBy: 'sops' } }],
        ['backend', 'backend', { secrets: { vault: { kind: 'static' } } }],
        [
          'backend',
          'backend',
          { spread: 'none', autoscaling: { enabled: true }, rollingUpdate: { maxSurge: '30%' } },
        ],
        ['frontend', 'frontend', { image, spread: 'required', ingress: { controller: 'none' } }],
        [
          'postgresql',
          'database',
          {
            image,
            persistence: { enabled: false },
            clients: { backend: null },
            tls: { existingSecret: 'from-cert-manager' },
          },
        ],
        ['stand-in', 'core', { image, workload: { kind: 'StatefulSet' }, services: { one: { http: 80 } } }],
      ];
    for (const [chart, namespace, values] of variants) {
      const objects = await render(chart, { namespace, values });
      for (const wanted of [objects, podsOf(objects)]) {
        const { exitCode, stderr } = await dryRun(wanted);
        assert.is(stderr, '', chart);
        assert.is(exitCode, 0);
      }
    }
  },
);

charts('workloads of releases with the longest name get their pods', async () => {
  const release = 'a-release-with-the-longest-name-that-helm-would-accep';
  assert.is(release.length, 53);
  const objects = [
    ...(await render('postgresql', {
      release,
      namespace: 'database',
      values: { persistence: { enabled: false } },
    })),
    ...(await render('frontend', { release, namespace: 'frontend' })),
    ...(await render('backend', {
      release,
      namespace: 'backend',
      values: { secrets: { managedBy: 'sops' } },
    })),
  ];
  const applied = await call(sandbox, 'kubectl', ['apply', '--server-side', '-f', '-'], list(objects));
  assert.is(applied.exitCode, 0, applied.stderr);
  for (const [namespace, component] of [
    ['database', 'server'],
    ['frontend', 'server'],
    ['backend', 'server'],
    ['backend', 'verification'],
  ] as const) {
    const labels = `app.kubernetes.io/instance=${release},app.kubernetes.io/component=${component}`;
    const made = await kubectl(
      '-n',
      namespace,
      'wait',
      '--for=create',
      'pod',
      '-l',
      labels,
      '--timeout',
      '60s',
    );
    assert.is(made.exitCode, 0, `${namespace} ${component}: ${made.stderr}`);
  }
  const removed = await call(sandbox, 'kubectl', ['delete', '--wait=false', '-f', '-'], list(objects));
  assert.is(removed.exitCode, 0, removed.stderr);
});

charts('each namespace refuses what is not restricted, and takes what is', async () => {
  for (const namespace of ourNamespaces) {
    const taken = await dryRun([podOf(namespace)]);
    assert.is(taken.exitCode, 0, taken.stderr);
    for (const change of [{ allowPrivilegeEscalation: true }, { capabilities: {} }, { runAsUser: 0 }]) {
      const refused = await dryRun([podOf(namespace, change)]);
      assert.is(refused.exitCode, 1, `${namespace} ${JSON.stringify(change)}`);
      assert.match(refused.stderr, 'violates PodSecurity "restricted:latest"');
    }
  }
});

charts('a container beyond the LimitRange and a pod beyond the quota are refused', async () => {
  const wide = await dryRun([podOf('backend', {}, { limits: { cpu: '600m', memory: '100Mi' } })]);
  assert.match(wide.stderr, 'maximum cpu usage per Container is 500m');
  const much = { cpu: '3', memory: '1Gi' };
  const over = await dryRun([podOf('database', {}, { requests: much, limits: much })]);
  assert.match(over.stderr, 'exceeded quota: database-quota, requested: requests.cpu=3');
});

charts('teams may do what their table says, and nothing else', async () => {
  for (const [team, expected] of Object.entries(rightsOf)) {
    for (const namespace of [...ourNamespaces, 'default', 'kube-system']) {
      const shown = await kubectl('auth', 'can-i', '--list', '-n', namespace, ...asTeam(team));
      assert.is(shown.exitCode, 0, shown.stderr);
      assert.equal(parseRights(shown.stdout), expected(namespace), `${team} in ${namespace}`);
    }
  }
});

charts('nobody but deployers comes by a Secret, by any of the ways there are', async () => {
  for (const [team, namespace, question, answer] of questions) {
    const { stdout } = await kubectl(
      'auth',
      'can-i',
      ...question.split(' '),
      '-n',
      namespace,
      ...asTeam(team),
    );
    assert.is(stdout.trim(), answer, `${team} in ${namespace}: ${question}`);
  }
});

charts(
  'Secrets of helm are read by the platform alone; where no value is secret, by deployers too',
  async () => {
    for (const team of ['backend', 'frontend', 'devops', 'deployers', 'nobody']) {
      for (const namespace of ourNamespaces) {
        const mayRead = team === 'deployers' && ['backend', 'frontend'].includes(namespace);
        for (const verb of ['get', 'list', 'watch']) {
          const { stdout } = await kubectl(
            'auth',
            'can-i',
            verb,
            'secrets',
            '-n',
            namespace,
            ...asTeam(team),
          );
          assert.is(stdout.trim(), mayRead ? 'yes' : 'no', `${team}: ${verb} secrets in ${namespace}`);
        }
      }
    }
    const platform = await kubectl('get', 'secrets', '-n', 'core', '-l', 'owner=helm', '-o', 'name');
    assert.match(platform.stdout, 'secret/sh.helm.release.v1.devops.');
    const deployer = await kubectl(
      'get',
      'secrets',
      '-n',
      'core',
      '-l',
      'owner=helm',
      ...asTeam('deployers'),
    );
    assert.match(deployer.stderr, 'cannot list resource "secrets"');
    const stranger = await kubectl('get', 'pods', '-n', 'backend', ...asTeam('nobody'));
    assert.match(stranger.stderr, 'cannot list resource "pods"');
  },
);

charts('the rights of deployers are enough for the applications, and not for the platform', async () => {
  const releases = await byRelease('existing');
  for (const release of ['app1-back', 'app1-front', 'app2-back', 'app2-front']) {
    const { exitCode, stderr } = await dryRun(releases.get(release) ?? [], ...asTeam('deployers'));
    assert.is(exitCode, 0, `${release}: ${stderr}`);
    const refused = await dryRun(releases.get(release) ?? [], ...asTeam('backend'));
    assert.match(refused.stderr, 'forbidden', release);
  }
  for (const release of ['devops', 'postgresql']) {
    const refused = await dryRun(releases.get(release) ?? [], ...asTeam('deployers'));
    assert.match(refused.stderr, 'forbidden', release);
  }
});

charts('helm itself installs, upgrades and removes an application as a deployer', async () => {
  const as = ['--kube-as-user', 'somebody', '--kube-as-group', 'k8s-deployment:deployers'];
  const values = { ingress: { host: 'probe.example', adminWhitelist: ['192.0.2.0/24'] } };
  const all = { ...values, backend: { release: 'probe-back' }, cluster: { podCidr: '10.244.0.0/16' } };
  for (const words of [['upgrade', '--install'], ['upgrade'], ['uninstall']]) {
    const chart = words[0] === 'upgrade' ? ['charts/frontend', '--values', '-'] : [];
    const args = [...words, 'probe', ...chart, '-n', 'frontend', '--wait', '--timeout', '60s', ...as];
    const { exitCode, stderr } = await call(sandbox, 'helm', args, JSON.stringify(all));
    assert.is(exitCode, 0, stderr);
  }
});

charts.after(async () => {
  await cleanUp();
  await sandbox.remove('development');
});

charts.run();
