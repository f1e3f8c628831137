import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import {
  authorityAdvice,
  findingsOf,
  historyAdvice,
  placesToFix,
  readHelmFailure,
  renderingFailure,
  saidByHelm,
  shownLinesOf,
} from '../../../lib/helm/failure.ts';
import { namesText, type Release } from '../../../lib/helm/helmfile.ts';
import { deployedReleases } from '../../../lib/helm/releases.ts';
import { adviceFor } from '../../../lib/kubernetes/advice.ts';
import { environmentOf } from '../../../lib/settings/environment.ts';
import { answeringShell, fails } from '../../rig/task-context.ts';

const release = (name: string, chart = './charts/backend'): Release => ({
  ...{ id: `vault/${name}`, name, chart, namespace: 'vault', tier: 'core', app: name, needs: [] },
  timeout: 60,
});

const environment = environmentOf({ env: 'development', provider: 'embedded' });
const releases = [release('vault', '{{ .Values.chart }}'), release('app1-back'), release('app1-front')];

function told(name: string, ...lines: string[]): string {
  const words = ['helm', 'upgrade', '--install', name, 'charts/backend', '--namespace', 'vault'];
  return [
    'in ./helmfile.yaml: command "/bin/helm" exited with non-zero status:\n\nARGS:',
    ...words.map((word, index) => `  ${index}: ${word} (${word.length} bytes)`),
    ...['\nSTDERR:', '\nCOMBINED OUTPUT:'].flatMap((head) => [head, ...lines.map((line) => `  ${line}`)]),
    '',
  ].join('\n');
}

const refusedValues =
  "Error: values don't meet the specifications of the schema(s) in the following chart(s):";
const hint = 'Use --debug flag to render out invalid YAML';
const read = (stderr: string) => {
  const { failed, ...failure } = readHelmFailure(stderr, releases);
  return { ...failure, failed: namesText(failed) };
};

test('an error of a chart is recognised, and shown without helm’s boilerplate', () => {
  for (const said of [
    'Error: execution error at (backend/templates/deployment.yaml:121:3): my very own message',
    'Error: parse error at (backend/templates/deployment.yaml:121): missing value for if',
    'Error: YAML parse error on backend/templates/deployment.yaml: error converting YAML to JSON: yaml: line 124: x',
    'Error: unable to build kubernetes objects from release manifest: no matches for kind "Servize" in version "v1"',
    `${refusedValues}\nbackend:\n- at '/replicas': got string, want integer`,
  ])
    assert.equal(read(told('app1-back', ...said.split('\n'), hint, 'ensure CRDs are installed first')), {
      ...{ said, failed: 'app1-back', rendering: true, undone: '', silent: false },
    });
  const crash = ['fatal error: malformed GOMEMLIMIT', '', 'runtime stack:', 'runtime.throw({0x1, 0x2})'];
  assert.is(read(told('app1-back', ...crash)).said, crash[0]);
});

test('a wrong address range is explained in words, other patterns are quoted', () => {
  const { cidr, narrowCidr, domain } = JSON.parse(
    readFileSync(join(root, 'charts/frontend/values.schema.json'), 'utf8'),
  ).definitions;
  const place = "- at '/ingress/adminWhitelist/0': ";
  for (const [value, { pattern }, said] of [
    ['10.0.0.0/33', cidr, 'is not an IPv4 or IPv6 range'],
    ['10.0.0/8', narrowCidr, 'is not an IPv4 or IPv6 range'],
    ['0.0.0.0/0', narrowCidr, 'is refused: it allows everybody'],
    ['::/0', narrowCidr, 'is refused: it allows everybody'],
    ['A', domain, `does not match pattern '${domain.pattern}'`],
  ] as const)
    assert.is(
      read(told('app1-front', `  ${place}'${value}' does not match pattern '${pattern}'`)).said,
      `${place}'${value}' ${said}`,
    );
});

test('a failed release is the one that helm was called for, or that helmfile names; without a call there is none', () => {
  // The release `vault` has the name of its namespace.
  assert.is(read(told('app1-back', 'Error: no')).failed, 'app1-back');
  const named = 'in ./helmfile.yaml: failed processing release app1-front: release "app1-front" failed\n';
  assert.is(read(named).failed, 'app1-front');
  for (const [stderr, said] of [
    ['Usage:\n  helmfile sync\nError: unknown flag: --no\n', 'Error: unknown flag: --no'],
    ['first\nno repository answers\n', 'no repository answers'],
    ['', ''],
  ] as const) {
    const none = { failed: '', said, undone: '', rendering: false, silent: false };
    assert.equal(read(stderr), none);
  }
});

test('the places to fix are charts of this project, and the settings', async () => {
  const places = (failed: readonly Release[], said = 'Error: no') => placesToFix(failed, environment, said);
  const far =
    'Error: looks like "https://charts.test" is not a valid chart repository or cannot be reached: Get';
  assert.is(await places([], far), 'the connection to https://charts.test');
  assert.is(await places(releases), 'charts/backend or environments/development/');
  assert.is(await places([]), 'charts/ or environments/development/');
  const back = releases.filter(({ name }) => name === 'app1-back');
  assert.is(await places(back, refusedValues), '`releases.app1-back` in environments/development/');
  const ours = '`releases.backend.autoRollback` in environments/';
  for (const [line, place] of [
    ["at '/autoRollback': got string", `${ours}development/settings.yaml:5`],
    ["at '': additional properties 'autoRollback' not allowed", ours],
    ["at '': missing property 'x'", '`releases.app1-back` in environments/development/'],
  ] as const)
    assert.match(await places(back, `${refusedValues}\nbackend:\n- ${line}`), place);
});

test('a failure is explained by problems of the failed releases, else by those of none', () => {
  const declared = ['vault', 'vault-operator', 'app1-back', 'app2-back'].map((name) => release(name));
  const [one, other] = ['vault/app1-back-verification-a', 'vault/app2-back-verification-b'] as const;
  for (const [failed, seen, found] of [
    ['app2-back', [one, other], [other]],
    [undefined, [one, other], [one, other]],
    ['vault', ['vault/vault-operator-a', 'vault/vault'], ['vault/vault']],
    ['vault-operator', ['vault/vault-operator-a', 'vault/vault-0'], ['vault/vault-operator-a']],
    ['vault', ['vault/app1-back-a', 'vault/other', 'else/vault-0'], ['vault/other', 'else/vault-0']],
  ] as const) {
    const findings = (paths: readonly string[]) =>
      paths.map((path) => ({ object: `pod ${path}`, text: 'x' }));
    const own = failed === undefined ? [] : [release(failed)];
    assert.equal(findingsOf(own, findings(seen), declared), findings(found));
  }
});

test('of findings with the same text, the first is shown, in its place', () => {
  const findings = ['a x', 'b y', 'c x'].map((words) => ({
    object: words.slice(0, 1),
    text: words.slice(2),
  }));
  assert.equal(shownLinesOf(findings), ['a: x', 'b: y']);
});

test('a check with another CA gets the advice to install its tier, other failures do not', () => {
  const said = (reason: string) => authorityAdvice(`pod a/b: FAILED ${reason}`, [release('app1-back')]);
  for (const reason of [
    'unable to verify the first certificate',
    'self-signed certificate in certificate chain',
  ])
    assert.match(said(`database login: ${reason}`) ?? '', /^run `.* install-tier core`: /);
  assert.is(said('database login: password authentication failed'), undefined);
  assert.is(said('backend: self-signed certificate'), undefined);
});

test('a release without a deployed revision has advice with its own namespace', () => {
  const said = 'Error: UPGRADE FAILED: "app1-back" has no deployed releases';
  const advice = historyAdvice(said, releases) ?? '';
  assert.match(advice, '(`npx tsx tasks.ts rollback app1-back`)');
  assert.match(advice, '(`kubectl -n vault delete secret -l owner=helm,name=app1-back`)');
  assert.is(historyAdvice('Error: no', releases), undefined);
});

test('a killed helm says nothing about charts, nor does a full disk', async () => {
  const [head = ''] = told('app1-back').split('STDERR:');
  const stderr = `${head}ERROR:\n  signal: killed\n\nEXIT STATUS\n  -1\n`;
  const { said, failed, rendering } = read(stderr);
  const killed = 'helm ended without any output: signal: killed';
  assert.equal([said, failed, rendering], [killed, 'app1-back', false]);
  const explain = renderingFailure({ environment }, releases, 'rendering');
  const shown = (text: string) => explain(new TaskError({ what: 'helmfile failed' }), text);
  const { what, advice } = await shown(stderr);
  assert.equal([what, advice], ['rendering app1-back failed', 'run again; nothing was deployed']);
  const full = 'in ./helmfile.yaml: failed to write /x/values: write /x/values: no space left on device\n';
  assert.is((await shown(full)).advice, 'free some space, then run again; nothing was deployed');
});

test('cluster errors have advice that never loses data', () => {
  for (const [said, advice] of Object.entries({
    'no matches for kind "VaultAuth" in version "a/v1"': /no type VaultAuth: `.* start-k8s`/,
    'failed calling webhook "guard.io": failed to call': /the webhook guard\.io, or remove/,
    'admission webhook "guard.io" denied the request: no':
      /^ask the owner of the webhook guard\.io, then run/,
    'Service "a" in namespace "b" exists and cannot be imported':
      /`kubectl -n b delete service a`.*`-- --take-o/,
    'ClusterRole "a" in namespace "" exists and cannot be imported': /`kubectl delete clusterrole a`/,
    'Service "a" is invalid: x: Duplicate value: "http"': /delete service a --cascade=orphan/,
    'Service "a" is invalid: spec.clusterIPs[0]: []string{"None"}: may not change once set':
      /cannot be changed in place: .* delete service a --cascade=orphan/,
    'StatefulSet.apps "a" is invalid: updates to statefulset spec': /delete statefulset a --cascade=orphan/,
    'object b/a apps/v1, Kind=Deployment: Deployment.apps "a" is invalid: field is immutable':
      /`kubectl -n b delete deployment a --cascade=orphan`/,
    'object b/a x.k8s.io/v1, Kind=RoleBinding: RoleBinding.x.k8s.io "a" is invalid: {}: cannot change roleRef':
      /again to recreate it \(`kubectl -n b delete rolebinding a`\)$/,
    'ClusterRoleBinding.x "a" is invalid: cannot change roleRef': /`kubectl delete clusterrolebinding a`/,
    'Secret "a" is invalid: type: field is immutable': /`kubectl delete secret a` in its namespace\)$/,
    'object /a x/v1, Kind=PriorityClass: PriorityClass.x "a" is invalid: may not be changed in an update.':
      /`kubectl delete priorityclass a`/,
    'Deployment.apps "a" is invalid: may not specify more than 1 handler type':
      /^somebody set a field that excludes .* delete deployment a --cascade=orphan/,
    'StatefulSet.apps "a" is invalid: "": may not be specified when `value` is not empty':
      /^somebody set a field that excludes .* delete statefulset a --cascade=orphan/,
    'PodDisruptionBudget.policy "a" is invalid: minAvailable and maxUnavailable cannot be both set':
      /^somebody set a field that excludes .* delete poddisruptionbudget a`/,
    "x is forbidden: ValidatingAdmissionPolicy 'no-latest' with binding 'all' denied request: no":
      /^ask the owner of the ValidatingAdmissionPolicy no-latest, then run again$/,
    'User "me" cannot create resource "secrets" in API group': /^give me the right to create secrets/,
    'resource Service/frontend/a still exists. status: Terminating, message: Resource scheduled':
      /^service frontend\/a is being deleted and waits for its finalizers/,
    'another operation (install/upgrade/rollback) is in progress': /^somebody else is changing the release/,
    'vaultdynamicsecret b/a: VaultClientConfigError: Failed': /`npx tsx tasks.ts init-vault`/,
    'pod backend/x-back-verification-g5: FAILED database login: password authentication failed for user "v-kube-x"':
      /kubectl -n backend delete vaultdynamicsecret x-back-database`, then .*install-tier apps/,
    'password authentication failed for user "app2"': /run `npx tsx tasks.ts rotate-database-password`$/,
  }))
    assert.match(adviceFor(`Error: UPGRADE FAILED: ${said}`) ?? '', advice);
  for (const kind of ['PersistentVolumeClaim', 'PersistentVolume', 'Namespace', 'CustomResourceDefinition.x'])
    assert.is(adviceFor(`${kind} "a" is invalid: spec: Forbidden: field is immutable`), undefined);
  assert.is(adviceFor('context deadline exceeded'), undefined);
});

test('without the right to list Secrets, the error names the missing right', async () => {
  const why =
    'Error from server (Forbidden): secrets is forbidden: User "me" cannot list resource "secrets" in';
  const $ = answeringShell(() => ({ exitCode: 4, stderr: why }));
  const advice = 'give me the right to list secrets, then run again';
  await fails(deployedReleases({ $, environment }), { why, advice, exitCode: 4 });
});

test('helm’s part of the output is taken, each line once; without such a part all of it', () => {
  const two = ['Error: UPGRADE FAILED: one', 'Error: UPGRADE FAILED: two'];
  assert.equal(saidByHelm(two.map((line) => told('app1-back', line)).join('')), two);
  assert.equal(saidByHelm(`STDERR:\n  ${two[0]}`), two.slice(0, 1));
  assert.equal(saidByHelm('in ./helmfile.yaml: no such file\n'), ['in ./helmfile.yaml: no such file']);
});

test.run();
