import { appendFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import * as assert from 'uvu/assert';
import { databaseCertificate } from '../../../lib/database/certificate.ts';
import { test as testReleases, uninstall } from '../../../lib/deploy/deployed.ts';
import { install } from '../../../lib/deploy/install.ts';
import type { CloneContext } from '../../rig/scripted-folder.ts';
import { scriptedPostgresql } from '../../rig/scripted-postgresql.ts';
import { failureOf } from '../../rig/task-context.ts';
import {
  cluster,
  deploySuite,
  emptyFolders,
  failing,
  helm,
  helmCalls,
  isSync,
  listed,
  printed,
  project,
  secrets,
} from './deploy-project.ts';

const test = deploySuite('install');

test('namespaces are created, and recorded as this environment’s, before helm is called: Helm 3 would create it too late', async ({
  context,
}) => {
  project.script(
    'kubectl',
    `case "$*" in *"get secrets"*|*"get namespaces"*) echo '{"items": []}';; *apply*) cat >> "$CALLS"; echo >> "$CALLS";; *--watch*) exec sleep 1000;; esac`,
  );
  await install(context, { app: 'devops' });
  const calls = project.calls();
  const labels = '"labels":{"k8s-deployment/environment":"development"}';
  const made = calls.findIndex((line) => line.includes(`"metadata":{"name":"core",${labels}}`));
  const installed = calls.findIndex(isSync);
  assert.ok(made >= 0 && made < installed, calls.join('\n'));
});

test('a password that programs would read differently is not installed', async ({ context }) => {
  cluster('failed', 60);
  project.script('sops', `cat <<'END'\n${JSON.stringify({ ...secrets, password: 'two\nlines' })}\nEND`);
  const error = await failureOf(install(context, { app: 'postgresql' }));
  assert.match(error.what, /^the value `password` of .*\/database.yaml cannot be a password$/);
  assert.not.ok(project.calls().some((line) => / sync /.test(line)));
});

/** A PostgreSQL that answers each login with an error of this SQLSTATE; the test's kubectl forwards to it. */
async function postgresql(context: CloneContext, code: string): Promise<void> {
  const port = await scriptedPostgresql(context, () => code);
  const labels = { name: 'postgresql', status: 'deployed', version: '1', owner: 'helm' };
  const metadata = { name: 'sh.helm.release.v1.postgresql.v1', namespace: 'database', labels };
  const release = gzipSync(JSON.stringify({ manifest: '', info: {} })).toString('base64');
  const items = [{ metadata, data: { release: Buffer.from(release).toString('base64') } }];
  project.script(
    'kubectl',
    `case "$*" in *"get secrets"*) ${printed([JSON.stringify({ items })])};; *port-forward*) echo 'Forwarding from 127.0.0.1:${port} -> 5432'; exec sleep 1000;; *--watch*|*"get pods"*) exec sleep 1000;; *" get "*) echo '{"items": []}';; esac`,
  );
}

test('a PostgreSQL that cannot check its passwords does not stop an install, which may repair it', async ({
  context,
}) => {
  await postgresql(context, '57P03');
  await install(context, { app: 'devops' });
  assert.ok(project.calls().some((line) => line.includes('port-forward')));
  assert.ok(project.calls().some(isSync));
});

test('an unreadable authority of the database is reported, not mistaken for a server that does not answer', async ({
  context,
}) => {
  await postgresql(context, '28P01');
  rmSync(databaseCertificate(context.environment).authority);
  const error = await failureOf(install(context, { app: 'devops' }));
  assert.is(error.what, 'cannot read the authority of the certificate of postgresql');
  assert.not.ok(project.calls().some(isSync));
});

const manifest = '---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: backend\n';

/** A helmfile that renders that manifest. */
const rendering = (): void =>
  project.script(
    'helmfile',
    `case "$*" in *--output-dir*) while [ "$1" != --output-dir ]; do shift; done; mkdir -p "$2/devops"; cat > "$2/devops/a.yaml" <<'END'\n${manifest}END\n;; esac`,
  );

test('a release with all its objects is skipped, after one look at them, and rendered once for the same inputs', async ({
  context,
}) => {
  rendering();
  cluster(
    'deployed',
    60,
    manifest,
    listed({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'backend' } }),
  );
  await install(context, { app: 'devops' });
  assert.equal(context.reported, ['unchanged']);
  const looks = project.calls().filter((line) => /^kubectl .* get (?!secrets)/.test(line));
  assert.is(looks.length, 1);
  const renderings = async () => {
    await install(context, { app: 'devops' });
    return project.calls().filter((line) => line.startsWith('helmfile ')).length;
  };
  assert.is(await renderings(), 1);
  // A damaged file counts as none.
  writeFileSync(join(context.environment.state, 'rendered.json'), '{"inputs":"a"');
  assert.is(await renderings(), 2);
  appendFileSync(join(project.folder, 'charts/devops/values.yaml'), '# changed\n');
  assert.is(await renderings(), 3);
});

test('what somebody else changes during an install is not taken for what the install rendered', async ({
  context,
}) => {
  rendering();
  const namespace = listed({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'backend' } });
  const known = () =>
    JSON.parse(readFileSync(join(context.environment.state, 'rendered.json'), 'utf8')).digests;
  cluster('deployed', 60, manifest, namespace);
  await install(context, { app: 'devops' });
  const { devops } = known();
  // During the installation of another release.
  const upgraded = `${manifest}  labels: { theirs: a }\n`;
  const script = join(project.folder, '..', 'bin', 'kubectl');
  const before = readFileSync(script);
  cluster('deployed', 60, upgraded, namespace);
  const after = join(project.folder, '..', 'kubectl-after');
  renameSync(script, after);
  writeFileSync(script, before, { mode: 0o755 });
  project.script('helmfile', `${emptyFolders}\ncase "$*" in *sync*) mv '${after}' '${script}';; esac`);
  await install(context, { app: 'reloader' });
  assert.equal(context.reported, ['unchanged', 'changed']);
  assert.is(known().devops, devops);
});

test('an uninstall names the installed releases of other applications that need it', async ({ context }) => {
  const others = ['vault/vault', 'vault/vault-operator', 'backend/app1-back'];
  cluster('deployed', 60, '', undefined, undefined, undefined, others);
  await uninstall(context, { app: 'vault' });
  await uninstall(context, { app: 'devops' });
  await uninstall(context, { app: 'app1' });
  assert.equal(context.logged, [
    'these installed releases need vault: app1-back',
    'these installed releases need devops: vault, app1-back',
  ]);
});

test('an unreadable history, which would remove the release, is an error', async ({ context }) => {
  const what = async () => (await failureOf(install(context, { app: 'devops' }))).what;
  cluster('pending-upgrade', 1);
  helm([]);
  assert.is(await what(), 'helm lists no revision of devops');
  project.script('helm', 'exit 0');
  assert.is(await what(), '`helm history devops` gave no readable answer');
  assert.not.ok(helmCalls().some((line) => /uninstall|rollback/.test(line)));
  assert.equal(context.reported, []);
});

test('only a deployed release can be tested', async ({ context }) => {
  cluster('failed', 60);
  const error = await failureOf(testReleases(context, { app: 'devops' }));
  assert.is(error.what, 'not deployed: devops');
  assert.is(error.advice, 'run `npx tsx tasks.ts install-app devops`');
});

test('the error names the failed one of several releases, and says what helm has undone only if helm does', async () => {
  const context = await project.context('minikube');
  cluster('deployed', 60);
  const said = 'Error: release app2-back failed, and has been rolled back due to x';
  failing('sync', 'app2-back', said);
  const back = await failureOf(install(context, { app: 'app2' }));
  assert.is(back.what, 'installing app2-back failed; what was deployed before is back');
  assert.is(back.why, said);
  failing('sync', 'app2-back', 'Error: release app2-back failed, and has been uninstalled due to x');
  const first = await failureOf(install(context, { app: 'app2' }));
  assert.is(first.what, 'installing app2-back failed; nothing of it is left');
  failing('sync', 'app2-back', 'Error: context deadline exceeded');
  const left = await failureOf(install(context, { app: 'app2' }));
  assert.is(left.what, 'installing app2-back failed');
});

test('an error in a template is shown with helm’s message, in rendering and in the install', async () => {
  const said = 'Error: execution error at (devops/templates/a.yaml:3:4): my very own message';
  for (const [status, word, doing] of [
    ['deployed', '--output-dir', 'rendering'],
    ['failed', 'sync', 'installing'],
  ] as const) {
    cluster(status, 60);
    failing(word, 'devops', said);
    const context = await project.context('minikube');
    const error = await failureOf(install(context, { app: 'devops' }));
    assert.is(error.what, `${doing} devops failed`);
    assert.is(error.why, said);
    assert.match(
      error.advice ?? '',
      /^fix charts\/devops or environments\/development\/ and run again; nothing/,
    );
  }
});

test('a failed check is explained by its own pod; for a recreated authority the advice is its install', async () => {
  const reason = 'FAILED database login: unable to verify the first certificate';
  const ended = { state: { terminated: { exitCode: 1, message: reason } } };
  const status = JSON.stringify({ containerStatuses: [{ name: 'check', ...ended }] });
  const pods = ['reloader-check-a', 'devops-check-b'].map((pod) => `core|${pod}||${status}`);
  cluster('deployed', 60, '', undefined, printed(pods));
  failing('--filter', 'devops', 'Error: job failed: BackoffLimitExceeded', 1);
  const error = await failureOf(testReleases(await project.context('minikube'), { app: 'devops' }));
  assert.is(error.why, `pod core/devops-check-b: ${reason}`);
  assert.match(error.advice ?? '', /^run `.* install-tier core`: /);
});

test('fronts are not installed for the pods of a namespace in which the ingress controller is not', async () => {
  cluster('deployed', 60, '', undefined, undefined, [
    { metadata: { namespace: 'elsewhere' }, data: { typesBefore: 'a' } },
  ]);
  const error = await failureOf(install(await project.context('minikube'), { app: 'app2' }));
  assert.match(error.what, /in the namespace ingress, but create-k8s installed it into elsewhere$/);
  assert.not.ok(project.calls().some((line) => / sync /.test(line)));
});

test('if helmfile fails before the first release, none is named', async () => {
  const context = await project.context('minikube');
  cluster('deployed', 60);
  project.script('helmfile', 'case "$*" in *sync*) echo "unknown flag: --bogus" >&2; exit 1;; esac');
  const error = await failureOf(install({ ...context, passThrough: ['--bogus'] }, { app: 'app2' }));
  assert.is(error.what, 'installing failed before the first release');
  assert.is(error.why, 'unknown flag: --bogus');
});

test('a helmfile that ends without output is reported with how it ended', async () => {
  const context = await project.context('minikube');
  for (const [body, ended, status] of [
    ['kill -9 $$', 'ended by SIGKILL', 137],
    [
      'echo "Upgrading release=devops" >&2; kill -9 $$',
      'ended by SIGKILL after: Upgrading release=devops',
      137,
    ],
    ['exit 3', 'exit code 3', 3],
  ] as const) {
    project.script('helmfile', `${emptyFolders}\ncase "$*" in *sync*|*--filter*) ${body};; esac`);
    cluster('failed', 60);
    const failed = await failureOf(install(context, { app: 'devops' }));
    assert.is(failed.what, 'installing devops failed');
    assert.is(failed.why, `helmfile: ${ended}; what was changed is not known`);
    assert.match(failed.advice ?? '', /^run again: an install repairs/);
    assert.is(failed.exitCode, status);
    cluster('deployed', 60);
    const check = await failureOf(testReleases(context, { app: 'devops' }));
    assert.equal([check.what, check.why], ['testing devops failed', `helmfile: ${ended}`]);
  }
});

// The last one: which helm is used is asked once.
test('Helm 3 gets no options that it does not know', async ({ context }) => {
  cluster('failed', 60);
  const program = join(project.folder, '..', 'bin', 'helm');
  writeFileSync(program, '#!/bin/sh\necho v3.18.6\n', { mode: 0o755 });
  await install(context, { app: 'devops' });
  assert.ok(
    project.calls().some((line) => line.endsWith('-l name=devops sync --concurrency 10')),
    project.calls().join('\n'),
  );
});

test.run();
