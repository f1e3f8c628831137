import * as assert from 'uvu/assert';
import { releaseObjects } from '../../charts/environments.ts';
import { render } from '../../charts/render.ts';
import { ourNamespaces } from '../../network/connections.ts';
import { call, dryRunOn, list, placeOf, podOf } from '../charts/ask.ts';
import { sandbox, scenario } from './shared.ts';
import { asTeam, type Rule, rightsIn, rightsOf, rulesReview } from './team-rights.ts';

/* What pods, teams and deployers may do: Pod Security, LimitRanges, quotas and RBAC, as set up by the charts. */

const charts = scenario('rights');

/** The output of a program that has to succeed. */
async function run(program: string, args: readonly string[], stdin = ''): Promise<string> {
  const { exitCode, stdout, stderr } = await call(sandbox, program, args, stdin);
  assert.is(exitCode, 0, stderr);
  return stdout;
}
const dryRun = (objects: readonly object[], ...more: readonly string[]) =>
  dryRunOn(placeOf(sandbox), objects, more);

charts('workloads of releases with the longest name get their pods', async () => {
  const release = 'a-release-with-the-longest-name-that-helm-would-accep';
  assert.is(release.length, 53);
  const rendered = [
    render('postgresql', { release, namespace: 'database', values: { persistence: { enabled: false } } }),
    render('frontend', { release, namespace: 'frontend' }),
    render('backend', { release, namespace: 'backend', values: { secrets: { managedBy: 'sops' } } }),
  ];
  const objects = (await Promise.all(rendered)).flat();
  await run('kubectl', ['apply', '--server-side', '-f', '-'], list(objects));
  for (const [namespace, component] of [
    ['database', 'server'],
    ['frontend', 'server'],
    ['backend', 'server'],
    ['backend', 'verification'],
  ] as const) {
    const labels = `app.kubernetes.io/instance=${release},app.kubernetes.io/component=${component}`;
    const words = ['wait', '--for=create', 'pod', '-l', labels, '--timeout', '180s'];
    await run('kubectl', ['-n', namespace, ...words]);
  }
  await run('kubectl', ['delete', '--wait=false', '-f', '-'], list(objects));
});

charts('each namespace accepts only restricted pods', async () => {
  const taken = await dryRun(ourNamespaces.map((namespace) => podOf(namespace)));
  assert.is(taken.exitCode, 0, taken.stderr);
  const changes = [{ allowPrivilegeEscalation: true }, { capabilities: {} }, { runAsUser: 0 }];
  const pods = ourNamespaces.flatMap((namespace) => changes.map((change) => podOf(namespace, change)));
  const { stderr } = await dryRun(pods);
  assert.is(stderr.match(/violates PodSecurity "restricted:latest"/g)?.length, pods.length);
});

charts('a container beyond the LimitRange and a pod beyond the quota are refused', async () => {
  const wide = await dryRun([podOf('backend', {}, { limits: { cpu: '600m', memory: '100Mi' } })]);
  assert.match(wide.stderr, 'maximum cpu usage per Container is 500m');
  const much = { cpu: '3', memory: '1Gi' };
  const over = await dryRun([podOf('database', {}, { requests: much, limits: much })]);
  assert.match(over.stderr, 'exceeded quota: database-quota, requested: requests.cpu=3');
});

charts('teams have exactly the rights of their table', async () => {
  const namespaces = [...ourNamespaces, 'default', 'kube-system'];
  for (const [team, expected] of Object.entries(rightsOf)) {
    const reviews = list(namespaces.map(rulesReview));
    const words = ['create', '--validate=false', '-o', 'jsonpath={.status.resourceRules}{"\\n"}'];
    const rules = (await run('kubectl', [...words, ...asTeam(team), '-f', '-'], reviews)).trim().split('\n');
    for (const [index, namespace] of namespaces.entries()) {
      const found = rightsIn(JSON.parse(rules[index] ?? '') as Rule[]);
      assert.equal(found, expected(namespace), `${team} in ${namespace}`);
    }
  }
});

charts('only the platform reads helm’s Secrets', async () => {
  const words = ['get', 'secrets', '-n', 'core', '-l', 'owner=helm', '-o', 'name'];
  assert.match(await run('kubectl', words), 'secret/sh.helm.release.v1.devops.');
  const { stderr } = await call(sandbox, 'kubectl', [...words, ...asTeam('deployers')]);
  assert.match(stderr, 'cannot list resource "secrets"');
});

charts('the rights of deployers suffice for the applications, not for the platform', async () => {
  const objectsOf = async (...releases: string[]) =>
    (await Promise.all(releases.map((release) => releaseObjects(release, 'existing')))).flat();
  const applications = await objectsOf('app1-back', 'app1-front', 'app2-back', 'app2-front');
  const { exitCode, stderr } = await dryRun(applications, ...asTeam('deployers'));
  assert.is(exitCode, 0, stderr);
  const both = await objectsOf('devops', 'postgresql');
  const platform = both.filter(({ metadata }) => !/^(back|front)end$/.test(metadata.namespace ?? ''));
  for (const [team, objects] of [
    ['backend', applications],
    ['deployers', platform],
  ] as const) {
    const refused = await dryRun(objects, ...asTeam(team));
    assert.is(refused.stderr.match(/ is forbidden: /g)?.length, objects.length, team);
  }
});

charts('helm itself installs, upgrades and removes an application as a deployer', async () => {
  const as = ['--kube-as-user', 'somebody', '--kube-as-group', 'k8s-deployment:deployers'];
  const values = { ingress: { host: 'probe.example', adminWhitelist: ['192.0.2.0/24'] } };
  const all = { ...values, backend: { release: 'probe-back' }, cluster: { podCidr: '10.244.0.0/16' } };
  for (const words of [['upgrade', '--install'], ['upgrade'], ['uninstall']]) {
    const chart = words[0] === 'upgrade' ? ['charts/frontend', '--values', '-'] : [];
    const args = [...words, 'probe', ...chart, '-n', 'frontend', '--wait', '--timeout', '180s', ...as];
    await run('helm', args, JSON.stringify(all));
  }
});

charts.runIfAsked();
