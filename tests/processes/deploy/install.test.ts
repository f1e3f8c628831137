import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { databaseCertificate } from '../../../lib/database/certificate.ts';
import { rollBackRelease, test as testReleases } from '../../../lib/deploy/deployed.ts';
import { install } from '../../../lib/deploy/install.ts';
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';
import { scriptedPostgresql } from '../../rig/scripted-postgresql.ts';
import { failureOf } from '../../rig/task-context.ts';

const test = suite<{ context: CloneContext }>('deploy');
const project = scriptedFolder(
  ...['charts', 'environments', 'helmfile.yaml'],
  'lib/certificates/certificates.cnf',
);

const secrets = { password: 'first secret', app2Password: 'second secret', vaultPassword: 'third secret' };

test.before.each(async (state) => {
  state.context = await project.context('minikube');
  mkdirSync(state.context.environment.state, { recursive: true });
  project.script('sops', `echo '${JSON.stringify(secrets)}'`);
  project.script('helmfile', emptyFolders);
  project.forget();
});
test.after.each(project.reset);
test.after(project.remove);

/** What helmfile does for releases that render nothing. */
const emptyFolders = `folder=; last=
for word; do [ "$last" = --output-dir ] && folder=$word; last=$word; done
[ -z "$folder" ] || for word; do case "$word" in name=*) mkdir -p "$folder/\${word#name=}";; esac; done`;

/** A cluster in which devops is in this state, last touched so many seconds ago. */
function cluster(
  status: string,
  ageSeconds: number,
  manifest = '',
  found = `echo '{"items": []}'`,
  pods = 'true',
  configMaps: readonly object[] = [],
): void {
  const last_deployed = Number.isNaN(ageSeconds)
    ? undefined
    : new Date(Date.now() - ageSeconds * 1000).toISOString();
  const content = gzipSync(JSON.stringify({ manifest, info: { last_deployed } })).toString('base64');
  const labels = { name: 'devops', status, version: '3', owner: 'helm' };
  const metadata = { name: 'sh.helm.release.v1.devops.v3', namespace: 'core', labels };
  const items = [{ metadata, data: { release: Buffer.from(content).toString('base64') } }];
  project.script(
    'kubectl',
    `case "$*" in *"get secrets"*) cat <<'END'\n${JSON.stringify({ items })}\nEND\n;; *"get namespaces"*) echo '{"items": []}';; *"get configmaps"*) ${listed(...configMaps)};; *version*) echo '{"serverVersion": {"gitVersion": "v1.31.0", "minor": "31"}}';; *managed-by=Helm*) ${found};; *"get -f -"*) ;; *"get pods"*) ${pods}; exec sleep 1000;; *--watch*) exec sleep 1000;; esac`,
  );
}

const helm = (history: readonly object[]): void =>
  project.script('helm', `case "$*" in *history*) echo '${JSON.stringify(history)}';; esac`);

/** A helmfile call that installs devops and reverts manual changes. */
const isSync = (line: string): boolean =>
  line.endsWith('-l name=devops sync --concurrency 10 --sync-args --force-conflicts --server-side=true');

const helmCalls = (): string[] =>
  project
    .calls()
    .filter((line) => line.startsWith('helm '))
    .map((line) => line.replace(/--kubeconfig \S+ --kube-context \S+ /, ''));

test('a release that a killed run left pending is first rolled back to its last good revision', async ({
  context,
}) => {
  cluster('pending-upgrade', 1);
  helm([
    { revision: 1, status: 'superseded' },
    { revision: 2, status: 'deployed' },
    { revision: 3, status: 'pending-upgrade' },
  ]);
  await install(context, { app: 'devops' });
  assert.equal(helmCalls(), [
    'helm --namespace core history devops -o json',
    'helm --namespace core rollback devops 2 --wait --timeout 120s --force-conflicts --server-side=true',
  ]);
  assert.ok(project.calls().some((line) => line.startsWith('helmfile ') && isSync(line)));
});

for (const [title, revisions, good] of [
  [
    'a revision that failed and was replaced by a rollback that failed, too',
    [
      [1, 'superseded', 'Install complete'],
      [2, 'deployed', 'Upgrade complete'],
      [3, 'superseded', 'Upgrade "devops" failed: context deadline exceeded'],
      [4, 'failed', 'Rollback "devops" failed: a conflict'],
      [5, 'superseded', 'Release "devops" failed: a hook'],
      [6, 'superseded', 'Preparing upgrade'],
      [7, 'failed', 'Rollback "devops" failed: a conflict'],
    ],
    2,
  ],
  [
    'a killed upgrade',
    [
      [3, 'superseded', 'Install complete'],
      [4, 'deployed', 'Rollback to 3'],
      [5, 'pending-upgrade', 'Preparing upgrade'],
    ],
    4,
  ],
  [
    'a good upgrade',
    [
      [3, 'superseded', 'of our own, since the last one failed'],
      [4, 'deployed', 'Upgrade complete'],
    ],
    3,
  ],
] as const)
  test(`after ${title}, rollback takes the newest revision before it that was in service`, async ({
    context,
  }) => {
    const [last] = revisions.slice(-1);
    cluster(last?.[1] ?? '', 1000);
    helm(revisions.map(([revision, status, description]) => ({ revision, status, description })));
    await rollBackRelease(context, 'devops', undefined);
    assert.match(helmCalls().at(-1) ?? '', ` rollback devops ${good} --wait`);
  });

test('a release without such a revision is not rolled back', async ({ context }) => {
  cluster('deployed', 1000);
  helm([
    { revision: 1, status: 'superseded', description: 'Release "devops" failed: a hook' },
    { revision: 2, status: 'deployed', description: 'Upgrade complete' },
  ]);
  const error = await failureOf(rollBackRelease(context, 'devops', undefined));
  assert.is(error.what, 'devops has no earlier revision to roll back to');
});

test('a pending release without a good revision is first removed', async ({ context }) => {
  cluster('pending-install', 1);
  helm([{ revision: 1, status: 'pending-install' }]);
  await install(context, { app: 'devops' });
  assert.is(helmCalls().at(-1), 'helm --namespace core uninstall devops --wait --timeout 120s');
});

test('an uninstall that was killed is finished before the release is installed again', async ({
  context,
}) => {
  cluster('uninstalling', 1);
  helm([
    { revision: 2, status: 'superseded' },
    { revision: 3, status: 'uninstalling' },
  ]);
  await install(context, { app: 'devops' });
  assert.equal(helmCalls(), ['helm --namespace core uninstall devops --wait --timeout 120s']);
  assert.ok(project.calls().some((line) => line.startsWith('helmfile ') && isSync(line)));
});

test('a release is repaired after all checks: a failed one, or a chart that cannot be rendered, changes nothing', async ({
  context,
}) => {
  for (const status of ['pending-install', 'uninstalling']) {
    cluster(status, 1);
    helm([{ revision: 1, status }]);
    project.script('sops', `echo '${JSON.stringify({ ...secrets, password: '' })}'`);
    const refused = await failureOf(install(context, { app: 'postgresql' }));
    assert.match(refused.what, /database.yaml cannot be a password$/);
    project.script('sops', `echo '${JSON.stringify(secrets)}'`);
    failing('--output-dir', 'devops', 'Error: execution error at (devops/templates/a.yaml:3:4): x');
    const unrendered = await failureOf(install(context, { app: 'devops' }));
    assert.is(unrendered.what, 'rendering devops failed');
    project.script('helmfile', emptyFolders);
  }
  assert.equal(helmCalls(), []);
});

test('on an existing cluster a pending release is only repaired after helm’s time limits', async () => {
  const context = await project.context('existing');
  cluster('pending-upgrade', 5);
  helm([]);
  const error = await failureOf(install(context, { app: 'devops' }));
  assert.match(error.what, /^release devops is pending-upgrade since [56] s$/);
  // helm may wait twice as long as the release's limit says.
  assert.match(error.advice ?? '', /240 s/);
  cluster('pending-upgrade', Number.NaN);
  const unknown = await failureOf(install(context, { app: 'devops' }));
  assert.is(unknown.what, 'release devops is pending-upgrade since an unknown time');
  assert.equal(helmCalls(), []);
  cluster('pending-upgrade', 241);
  helm([
    { revision: 2, status: 'deployed' },
    { revision: 3, status: 'pending-upgrade' },
  ]);
  await install(context, { app: 'devops' });
  assert.match(helmCalls().at(-1) ?? '', /^helm --namespace core rollback devops 2 --wait --timeout 120s/);
});

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

const printed = (lines: readonly string[]): string =>
  `printf '%s\\n' ${lines.map((line) => `'${line}'`).join(' ')}`;

const listed = (...items: readonly object[]): string => printed([JSON.stringify({ items })]);

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

/** A helmfile whose command fails as it does when helm fails with a release. */
const failing = (word: string, release: string, said: string, seconds = 0): void =>
  project.script(
    'helmfile',
    `${emptyFolders}
case "$*" in *${word}*) sleep ${seconds}; cat >&2 <<'END'\nARGS:\n  0: helm (4 bytes)\n  1: ${release} (1 bytes)\n\nSTDERR:\n  ${said}\n  Use --debug flag to render out invalid YAML\n\nCOMBINED OUTPUT:\n  ${said}\n  Use --debug flag to render out invalid YAML\nEND\nexit 1;; esac`,
  );

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
