import { appendFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { databaseCertificate } from '../../../lib/database/certificate.ts';
import { test as testReleases, uninstall } from '../../../lib/deploy/deployed.ts';
import { install } from '../../../lib/deploy/install.ts';
import { context, forwarding, helmRecord, listing } from '../../rig/scripted-folder.ts';
import { scriptedPostgresql } from '../../rig/scripted-postgresql.ts';
import { fails } from '../../rig/task-context.ts';
import { cluster, failing, helm, helmCalls, helmfile, project, sync, test } from './deploy-project.ts';

const devops = { app: 'devops' };

test('namespaces are created, and recorded as this environment’s, before helm is called: Helm 3 would create it too late', async () => {
  project.script('kubectl', {
    'get secrets|get namespaces': listing(),
    apply: 'cat >> "$CALLS"; echo >> "$CALLS"',
    '--watch': 'exec sleep 1000',
  });
  await install(context, devops);
  const calls = project.calls();
  const labels = '"labels":{"k8s-deployment/environment":"development"}';
  const made = calls.findIndex((line) => line.includes(`"metadata":{"name":"core",${labels}}`));
  const installed = calls.findIndex((line) => sync.test(line));
  assert.ok(made >= 0 && made < installed, calls.join('\n'));
});

/** A PostgreSQL that answers each login with an error of this SQLSTATE; the test's kubectl forwards to it. */
async function postgresql(code: string): Promise<void> {
  const port = await scriptedPostgresql(context, () => code);
  project.script('kubectl', {
    'get secrets': listing(helmRecord('database/postgresql', 'deployed')),
    'port-forward': forwarding(port),
    '--watch|get pods': 'exec sleep 1000',
    ' get ': listing(),
  });
}

test('a PostgreSQL that cannot check its passwords does not stop an install, which may repair it', async () => {
  await postgresql('57P03');
  await install(context, devops);
  assert.ok(project.calls('port-forward').length > 0);
  assert.is(project.calls(sync).length, 1);
});

test('an unreadable authority of the database is reported, not mistaken for a server that does not answer', async () => {
  await postgresql('28P01');
  rmSync(databaseCertificate(context.environment).authority);
  const what = 'cannot read the authority of the certificate of postgresql';
  await fails(install(context, devops), { what });
  assert.equal(project.calls(/ sync /), []);
});

const manifest = '---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: backend\n';
const namespace = listing({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'backend' } });
const cached = () => join(context.environment.state, 'rendered.json');

const rendering = (): void =>
  project.script('helmfile', {
    '--output-dir': `while [ "$1" != --output-dir ]; do shift; done; mkdir -p "$2/devops"; cat > "$2/devops/a.yaml" <<'END'\n${manifest}END\n`,
  });

test('a release with all its objects is skipped, after one look at them, and rendered once for the same inputs', async () => {
  rendering();
  cluster('deployed', 60, { manifest, 'managed-by=Helm': namespace });
  await install(context, devops);
  assert.equal(context.reported, ['unchanged']);
  assert.is(project.calls(/^kubectl .* get (?!secrets)/).length, 1);
  const renderings = async () => {
    await install(context, devops);
    return project.calls(/^helmfile /).length;
  };
  assert.is(await renderings(), 1);
  // A damaged file counts as none.
  writeFileSync(cached(), '{"inputs":"a"');
  assert.is(await renderings(), 2);
  appendFileSync(join(project.folder, 'charts/devops/values.yaml'), '# changed\n');
  assert.is(await renderings(), 3);
});

test('what somebody else changes during an install is not taken for what the install rendered', async () => {
  rendering();
  const known = () => JSON.parse(readFileSync(cached(), 'utf8')).digests;
  cluster('deployed', 60, { manifest, 'managed-by=Helm': namespace });
  await install(context, devops);
  const before = known().devops;
  // During the installation of another release.
  const kubectl = join(project.folder, '..', 'bin', 'kubectl');
  const [now, later] = ['now', 'later'].map((name) => `${kubectl}-${name}`) as [string, string];
  renameSync(kubectl, now);
  cluster('deployed', 60, { manifest: `${manifest}  labels: { theirs: a }\n`, 'managed-by=Helm': namespace });
  renameSync(kubectl, later);
  renameSync(now, kubectl);
  helmfile('sync', `mv '${later}' '${kubectl}'`);
  await install(context, { app: 'reloader' });
  assert.equal(context.reported, ['unchanged', 'changed']);
  assert.is(known().devops, before);
});

test('an uninstall names the installed releases of other applications that need it, and says if there was one', async () => {
  cluster('deployed', 60, { others: ['vault/vault', 'vault/vault-operator', 'backend/app1-back'] });
  const outcomes: string[] = [];
  for (const app of ['vault', 'devops', 'app1', 'reloader']) outcomes.push(await uninstall(context, { app }));
  assert.equal(outcomes, ['changed', 'changed', 'changed', 'unchanged']);
  assert.equal(context.logged, [
    'these installed releases need vault: app1-back',
    'these installed releases need devops: vault, app1-back',
  ]);
});

test('an unreadable history, which would remove the release, is an error', async () => {
  cluster('pending-upgrade', 1);
  helm([]);
  await fails(install(context, devops), { what: 'helm lists no revision of devops' });
  project.script('helm', 'exit 0');
  await fails(install(context, devops), { what: '`helm history devops` gave no readable answer' });
  assert.equal(helmCalls('(?:uninstall|rollback)'), []);
  assert.equal(context.reported, []);
});

test('only a deployed release can be tested', async () => {
  cluster('failed', 60);
  const advice = 'run `npx tsx tasks.ts install-app devops`';
  await fails(testReleases(context, devops), { what: 'not deployed: devops', advice });
});

const mistake = 'Error: execution error at (devops/templates/a.yaml:3:4): my very own message';
const fix = /^fix charts\/devops or environments\/development\/ and run again; nothing/;

const ended = 'Error: release app2-back failed, and has been';
const app2 = ['sync', 'app2-back', /./] as const;

for (const [what, why, words, release, advice] of [
  ['installing app2-back failed; what was deployed before is back', `${ended} rolled back due to x`, ...app2],
  ['installing app2-back failed; nothing of it is left', `${ended} uninstalled due to x`, ...app2],
  ['installing app2-back failed', 'Error: context deadline exceeded', ...app2],
  ['rendering devops failed', mistake, '--output-dir', 'devops', fix],
  ['installing devops failed', mistake, 'sync', 'devops', fix],
] as const)
  test(`the failed one of several releases is named with helm’s message: ${what}`, async () => {
    cluster(words === 'sync' ? 'failed' : 'deployed', 60);
    failing(words, release, why);
    await fails(install(context, { app: 'app2' }), { what, why, advice });
  });

test('if helmfile fails before the first release, none is named', async () => {
  cluster('deployed', 60);
  const why = 'unknown flag: --bogus';
  helmfile('sync', `echo "${why}" >&2; exit 1`);
  const installed = install({ ...context, passThrough: ['--bogus'] }, { app: 'app2' });
  await fails(installed, { what: 'installing failed before the first release', why });
});

test('a failed check is explained by its own pod; for a recreated authority the advice is its install', async () => {
  const reason = 'FAILED database login: unable to verify the first certificate';
  const ended = { state: { terminated: { exitCode: 1, message: reason } } };
  const status = JSON.stringify({ containerStatuses: [{ name: 'check', ...ended }] });
  const pods = ['reloader-check-a', 'devops-check-b'].map((pod) => `'core|${pod}||${status}'`);
  cluster('deployed', 60, { 'get pods': `printf '%s\\n' ${pods.join(' ')}; exec sleep 1000` });
  failing('--filter', 'devops', 'Error: job failed: BackoffLimitExceeded', 1);
  await fails(testReleases(context, devops), {
    why: `pod core/devops-check-b: ${reason}`,
    advice: /^run `.* install-tier core`: /,
  });
});

test('fronts are not installed for the pods of a namespace in which the ingress controller is not', async () => {
  const record = { metadata: { namespace: 'elsewhere' }, data: { typesBefore: 'a' } };
  cluster('deployed', 60, { 'get configmaps': listing(record) });
  const what = /in the namespace ingress, but create-k8s installed it into elsewhere$/;
  await fails(install(context, { app: 'app2' }), { what });
  assert.equal(project.calls(/ sync /), []);
});

const killed = 'ended by SIGKILL';

for (const [body, ended, exitCode] of [
  ['kill -9 $$', killed, 137],
  ['echo "Upgrading release=devops" >&2; kill -9 $$', `${killed} after: Upgrading release=devops`, 137],
  ['exit 3', 'exit code 3', 3],
] as const)
  test(`a helmfile that ends without output is reported with how it ended: ${ended}`, async () => {
    helmfile('sync', body);
    cluster('failed', 60);
    await fails(install(context, devops), {
      ...{ what: 'installing devops failed', advice: /^run again: an install repairs/, exitCode },
      why: `helmfile: ${ended}; what was changed is not known`,
    });
    helmfile('--filter', body);
    cluster('deployed', 60);
    const what = 'testing devops failed';
    await fails(testReleases(context, devops), { what, why: `helmfile: ${ended}` });
  });

test.run();
