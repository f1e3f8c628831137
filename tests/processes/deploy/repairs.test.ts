import * as assert from 'uvu/assert';
import { rollBackRelease } from '../../../lib/deploy/deployed.ts';
import { install } from '../../../lib/deploy/install.ts';
import { makeAuthority } from '../../rig/certificate.ts';
import { context, printing } from '../../rig/scripted-folder.ts';
import { standIn, useStandIns } from '../../rig/stand-in.ts';
import { fails } from '../../rig/task-context.ts';
import * as deploy from './deploy-project.ts';

const { cluster, helm, helmCalls, project, secrets, sync, test } = deploy;
useStandIns(test);

const devops = { app: 'devops' };

test('before an install, the first one is removed if a killed run left it', async () => {
  // One that only renders does not work on it.
  await standIn('helm', ['template', 'devops']);
  cluster('pending-install', 1);
  helm([{ revision: 1, status: 'pending-install' }]);
  await install(context, devops);
  assert.equal(helmCalls(), [
    'helm --namespace core history devops -o json',
    'helm --namespace core uninstall devops --wait --timeout 300s',
  ]);
  assert.is(project.calls(sync).length, 1);
});

const first = 'superseded Install complete';
const notRolledBack = 'failed Rollback "devops" failed: a conflict';
for (const [title, good, ...revisions] of [
  [
    ...(['a revision that failed and was replaced by a rollback that failed, too', 4, first] as const),
    ...['deployed Upgrade complete', 'superseded Upgrade "devops" failed: context deadline exceeded'],
    ...[notRolledBack, 'superseded Release "devops" failed: a hook', 'superseded Preparing upgrade'],
    notRolledBack,
  ],
  ['a killed upgrade', 4, first, 'deployed Rollback to 3', 'pending-upgrade Preparing upgrade'],
  ['a good upgrade', 3, 'superseded of our own, since the last one failed', 'deployed Upgrade complete'],
  ['nothing good', 0, 'superseded Release "devops" failed: a hook', 'deployed Upgrade complete'],
] as readonly (readonly [string, number, ...string[]])[])
  test(`after ${title}, rollback takes the newest revision before it that was in service`, async () => {
    const history = revisions.map((text, index) => {
      const [status = '', ...description] = text.split(' ');
      return { revision: index + 3, status, description: description.join(' ') };
    });
    cluster(history.at(-1)?.status ?? '', 1000);
    helm(history);
    const rollback = rollBackRelease(context, 'devops', undefined);
    if (good === 0)
      return void (await fails(rollback, { what: 'devops has no earlier revision to roll back to' }));
    await rollback;
    assert.match(helmCalls().at(-1) ?? '', ` rollback devops ${good} --wait`);
  });

test('a rollback leaves the number of pods to helm where no autoscaler takes it over', async () => {
  const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'devops' } };
  const manifest = JSON.stringify({ ...deployment, spec: { replicas: 2 } });
  cluster('deployed', 1000, { manifest, 'get deployment': 'echo 2' });
  project.script('helm', { 'get manifest': `printf 'apiVersion: some/v1\\nkind: PodDisruptionBudget\\n'` });
  await rollBackRelease(context, 'devops', 2);
  assert.equal(project.calls(/^kubectl .* apply /), []);
});

test('a rollback to certificates of a former authority is refused', async () => {
  const { authority } = await makeAuthority(context.environment);
  const trusting = (text: string) => `ca.crt: ${JSON.stringify(text.trim())}\n`;
  cluster('deployed', 1000, { manifest: trusting(authority) });
  project.script('helm', { 'get manifest': `echo '${trusting('-----BEGIN CERTIFICATE-----')}'` });
  await fails(rollBackRelease(context, 'devops', 2), { what: /^revision 2 of devops .* former authority$/ });
  project.script('helm', { 'get manifest': 'echo "Error: cluster unreachable" >&2; exit 1' });
  await fails(rollBackRelease(context, 'devops', 2), { why: 'Error: cluster unreachable' });
  assert.equal(project.calls(/^helm .* rollback /), []);
  project.script('helm', { 'get manifest': 'echo "Error: release: not found" >&2; exit 1' });
  cluster('deployed', 1000, { manifest: trusting('-----BEGIN CERTIFICATE-----') });
  await rollBackRelease(context, 'devops', 2);
});

for (const [release, revision, said, what, advice] of [
  ['app1-back', undefined, 'release: not found', 'app1-back is not installed', /install-app app1`/],
  ['devops', 99, 'release has no 99 version', 'devops has no revision 99', /-n\S* core history devops$/],
] as const)
  test(`a rollback fails: ${what}`, async () => {
    cluster('deployed', 1000);
    const fail = (why: string) => `echo "Error: ${why}" >&2; exit 1`;
    project.script('helm', { 'get manifest': fail('release: not found'), '': fail(said) });
    await fails(rollBackRelease(context, release, revision), { what, advice });
  });

test('a release is repaired after all checks: a failed one, or a chart that cannot be rendered, changes nothing', async () => {
  for (const status of ['pending-install', 'uninstalling']) {
    cluster(status, 1);
    helm([{ revision: 1, status }]);
    project.script('sops', printing({ ...secrets, password: 'two\nlines' }));
    const what = /^the value `password` of .*\/database.yaml cannot be a password$/;
    await fails(install(context, { app: 'postgresql' }), { what });
    project.script('sops', printing(secrets));
    deploy.failing('--output-dir', 'devops', 'Error: execution error at (devops/templates/a.yaml:3:4): x');
    await fails(install(context, devops), { what: 'rendering devops failed' });
    project.script('helmfile', deploy.emptyFolders);
  }
  assert.equal(helmCalls(), []);
  assert.equal(project.calls(/ sync /), []);
});

test('on an existing cluster a pending release is only repaired after helm’s time limits, one that goes at once', async () => {
  const existing = await project.context('existing');
  cluster('pending-upgrade', 5);
  helm([]);
  // helm may wait twice as long as the release's limit says.
  const what = /^release devops is pending-upgrade since [56] s$/;
  await fails(install(existing, devops), { what, advice: /600 s/ });
  cluster('pending-upgrade', Number.NaN);
  const unknown = 'release devops is pending-upgrade since an unknown time';
  await fails(install(existing, devops), { what: unknown });
  assert.equal(helmCalls(), []);
  cluster('pending-upgrade', 601);
  helm([
    { revision: 2, status: 'deployed' },
    { revision: 3, status: 'pending-upgrade' },
  ]);
  await install(existing, devops);
  const back = 'rollback devops 2 --wait --timeout 300s --force-conflicts --server-side=true';
  assert.is(helmCalls().at(-1), `helm --namespace core ${back}`);
  cluster('uninstalling', 5);
  await install(existing, devops);
  assert.is(helmCalls().at(-1), 'helm --namespace core uninstall devops --wait --timeout 300s');
});

test.run();
