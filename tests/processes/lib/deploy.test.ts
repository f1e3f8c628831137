import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type CloneContext, type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf } from '../../rig/task-context.ts';

type Lib = typeof import('../../../lib/deploy/install.ts');
type State = { clone: ScriptedClone; lib: Lib; context: CloneContext };

const test = suite<State>('deploy');

const secrets = { password: 'first secret', app2Password: 'second secret', vaultPassword: 'third secret' };

test.before(async (state) => {
  state.clone = scriptedClone();
  state.lib = await state.clone.lib('deploy/install.ts');
});

test.before.each(async (state) => {
  state.context = await state.clone.context('minikube');
  mkdirSync((await state.clone.environment('minikube')).state, { recursive: true });
  state.clone.script('sops', `echo '${JSON.stringify(secrets)}'`);
  state.clone.script('helmfile', emptyFolders);
  state.clone.forget();
});

test.after.each(({ clone }) => clone.reset());
test.after(({ clone }) => clone.remove());

/** What helmfile does for releases that render nothing. */
const emptyFolders = `folder=; last=
for word; do [ "$last" = --output-dir ] && folder=$word; last=$word; done
[ -z "$folder" ] || for word; do case "$word" in name=*) mkdir -p "$folder/\${word#name=}";; esac; done`;

/** A cluster in which devops is in this state, last touched so many seconds ago. */
function cluster(
  clone: ScriptedClone,
  status: string,
  ageSeconds: number,
  manifest = '',
  found = `echo '{"items": []}'`,
  pods = 'true',
): void {
  const last_deployed = Number.isNaN(ageSeconds)
    ? undefined
    : new Date(Date.now() - ageSeconds * 1000).toISOString();
  const content = gzipSync(JSON.stringify({ manifest, info: { last_deployed } })).toString('base64');
  const labels = { name: 'devops', status, version: '3', owner: 'helm' };
  const metadata = { name: 'sh.helm.release.v1.devops.v3', namespace: 'core', labels };
  const items = [{ metadata, data: { release: Buffer.from(content).toString('base64') } }];
  clone.script(
    'kubectl',
    `case "$*" in *"get secrets"*) cat <<'END'\n${JSON.stringify({ items })}\nEND\n;; *"get namespaces"*) echo '{"items": []}';; *managed-by=Helm*) ${found};; *"get -f -"*) ;; *"get pods"*) ${pods}; exec sleep 1000;; *--watch*) exec sleep 1000;; esac`,
  );
}

const helm = (clone: ScriptedClone, history: readonly object[]): void =>
  clone.script('helm', `case "$*" in *history*) echo '${JSON.stringify(history)}';; esac`);

/** A call of helmfile that installs devops, and takes back what somebody else has set. */
const isSync = (line: string): boolean =>
  line.endsWith('-l name=devops sync --sync-args --force-conflicts --server-side=true');

const helmCalls = (clone: ScriptedClone): string[] =>
  clone
    .calls()
    .filter((line) => line.startsWith('helm '))
    .map((line) => line.replace(/--kubeconfig \S+ --kube-context \S+ /, ''));

test('a release that a killed run left pending is rolled back to its last good revision first', async ({
  lib,
  clone,
  context,
}) => {
  cluster(clone, 'pending-upgrade', 1);
  helm(clone, [
    { revision: 1, status: 'superseded' },
    { revision: 2, status: 'deployed' },
    { revision: 3, status: 'pending-upgrade' },
  ]);
  await lib.install(context, { app: 'devops' });
  assert.equal(helmCalls(clone), [
    'helm --namespace core history devops -o json',
    'helm --namespace core rollback devops 2 --wait --timeout 120s --force-conflicts --server-side=true',
  ]);
  assert.ok(clone.calls().some((line) => line.startsWith('helmfile ') && isSync(line)));
});

test('one that never was good is removed first', async ({ lib, clone, context }) => {
  cluster(clone, 'pending-install', 1);
  helm(clone, [{ revision: 1, status: 'pending-install' }]);
  await lib.install(context, { app: 'devops' });
  assert.is(helmCalls(clone).at(-1), 'helm --namespace core uninstall devops --wait --timeout 120s');
});

test('on somebody else’s cluster a young pending release is left alone', async ({ lib, clone }) => {
  const context = await clone.context('existing');
  cluster(clone, 'pending-upgrade', 5);
  helm(clone, []);
  const error = await failureOf(lib.install(context, { app: 'devops' }));
  assert.match(error.what, /^release devops is pending-upgrade since [56] s$/);
  // helm may wait twice as long as the release's limit says.
  assert.match(error.advice ?? '', /240 s/);
  cluster(clone, 'pending-upgrade', Number.NaN);
  const unknown = await failureOf(lib.install(context, { app: 'devops' }));
  assert.is(unknown.what, 'release devops is pending-upgrade since an unknown time');
  assert.equal(helmCalls(clone), []);
  cluster(clone, 'pending-upgrade', 241);
  helm(clone, [{ revision: 2, status: 'deployed' }]);
  await lib.install(context, { app: 'devops' });
  assert.match(
    helmCalls(clone).at(-1) ?? '',
    /^helm --namespace core rollback devops 2 --wait --timeout 120s/,
  );
});

test('the namespace of devops is there before helm is called, which Helm 3 would make too late', async ({
  lib,
  clone,
  context,
}) => {
  clone.script(
    'kubectl',
    `case "$*" in *"get secrets"*|*"get namespaces"*) echo '{"items": []}';; *apply*) cat >> "$CALLS"; echo >> "$CALLS";; *--watch*) exec sleep 1000;; esac`,
  );
  await lib.install(context, { app: 'devops' });
  const calls = clone.calls();
  const made = calls.indexOf('{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"core"}}');
  const installed = calls.findIndex(isSync);
  assert.ok(made >= 0 && made < installed, calls.join('\n'));
});

test('a password that not everybody would read alike goes into no cluster', async ({
  lib,
  clone,
  context,
}) => {
  cluster(clone, 'failed', 60);
  const answer = (password: string) =>
    clone.script('sops', `cat <<'END'\n${JSON.stringify({ ...secrets, password })}\nEND`);
  for (const [password, why] of [
    ['two\nlines', 'it has a line break or another control character'],
    ['ends in one\n', 'it has a line break or another control character'],
    ['from Windows\r', 'it has a line break or another control character'],
    ['cut \0 off', 'it has a line break or another control character'],
    ['', 'it is empty'],
  ] as const) {
    answer(password);
    clone.forget();
    const error = await failureOf(lib.install(context, { app: 'postgresql' }));
    assert.match(error.what, /^the value `password` of .*\/database.yaml cannot be a password$/);
    assert.is(error.why, why);
    assert.not.ok(clone.calls().some((line) => line.endsWith('sync')));
  }
  answer(secrets.password);
});

test('who asks helmfile for details is shown no secret: it is known before helmfile tells it', async ({
  lib,
  clone,
}) => {
  cluster(clone, 'deployed', 60);
  clone.forget();
  const context = { ...(await clone.context('minikube')), passThrough: ['--debug'] };
  await lib.install(context, { app: 'metrics-server' });
  assert.equal([...new Set(context.secrets)].sort(), ['first secret', 'second secret', 'third secret']);
  const calls = clone.calls().filter((line) => /^sops|sync/.test(line));
  assert.match(calls[0] ?? '', /^sops decrypt /);
  assert.match(calls.at(-1) ?? '', /^helmfile .* sync .* --debug$/);
  clone.script('sops', 'echo "Failed to get the data key" >&2; exit 128');
});

test('what is installed as it should be is left alone', async ({ lib, clone, context }) => {
  cluster(clone, 'deployed', 60);
  await lib.install(context, { app: 'devops' });
  assert.equal(context.reported, ['unchanged']);
  assert.not.ok(clone.calls().some((line) => / sync /.test(line)));
});

const manifest = `---
# Source: devops/templates/a.yaml
apiVersion: v1
kind: Namespace
metadata:
  labels:
    name: wrong
  name: backend
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: "front"
  namespace: frontend
---
apiVersion: v1
kind: Secret
metadata:
  name: password
`;

/** A helmfile that renders that manifest. */
const rendering = (clone: ScriptedClone): void =>
  clone.script(
    'helmfile',
    `case "$*" in *--output-dir*) while [ "$1" != --output-dir ]; do shift; done; mkdir -p "$2/devops"; cat > "$2/devops/a.yaml" <<'END'\n${manifest}END\n;; esac`,
  );

const printed = (lines: readonly string[]): string =>
  `printf '%s\\n' ${lines.map((line) => `'${line}'`).join(' ')}`;

type Found = { readonly metadata: { readonly name: string; readonly namespace?: string } };

/** The objects of that manifest as the cluster has them. */
const objects: readonly (Found & { readonly apiVersion: string; readonly kind: string })[] = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'backend' } },
  { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'front', namespace: 'frontend' } },
  { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'password', namespace: 'core' } },
];
const listed = (items: readonly Found[]): string => printed([JSON.stringify({ items })]);

test('a release whose objects are all there is left alone, after one look at them', async ({
  lib,
  clone,
  context,
}) => {
  rendering(clone);
  cluster(clone, 'deployed', 60, manifest, listed(objects));
  await lib.install(context, { app: 'devops' });
  assert.equal(context.reported, ['unchanged']);
  const looks = clone.calls().filter((line) => /^kubectl .* get (?!secrets)/.test(line));
  assert.is(looks.length, 1);
});

test('a release that lost an object is installed again, and the log names the object', async ({
  lib,
  clone,
}) => {
  rendering(clone);
  const gone = ['namespace backend', 'deployment frontend/front', 'secret core/password'];
  for (const [index, object] of gone.entries()) {
    const context = await clone.context('minikube');
    cluster(clone, 'deployed', 60, manifest, listed(objects.toSpliced(index, 1)));
    clone.forget();
    await lib.install(context, { app: 'devops' });
    assert.ok(context.logged.includes(`devops was changed: ${object} is missing`));
    assert.ok(clone.calls().some(isSync));
  }
});

test('a failed release is compared with its last manifest, a pending or uninstalled one with none', async ({
  lib,
  clone,
}) => {
  helm(clone, [{ revision: 2, status: 'deployed' }]);
  const line = 'devops was changed: secret core/password is missing';
  for (const [status, told] of [
    ['failed', true],
    ['pending-upgrade', false],
    ['uninstalling', false],
    ['uninstalled', false],
  ] as const) {
    const context = await clone.context('minikube');
    cluster(clone, status, 60, manifest, listed(objects.slice(0, 2)));
    await lib.install(context, { app: 'devops' });
    assert.is(context.logged.includes(line), told, status);
  }
});

test('objects of a kind that the cluster does not know any more are missing', async ({
  lib,
  clone,
  context,
}) => {
  rendering(clone);
  const rest = listed(objects.toSpliced(1, 1));
  const unknown = `case "$*" in *Deployment*) echo "error: the server doesn't have a resource type \\"Deployment\\"" >&2; exit 1;; *) ${rest};; esac`;
  cluster(clone, 'deployed', 60, manifest, unknown);
  await lib.install(context, { app: 'devops' });
  assert.ok(context.logged.includes('devops was changed: deployment frontend/front is missing'));
});

test('where objects may not be listed nothing counts as missing, and the log says so', async ({
  lib,
  clone,
}) => {
  rendering(clone);
  const forbidden = 'Error from server (Forbidden): secrets is forbidden: User "me" cannot list';
  const context = await clone.context('minikube');
  cluster(clone, 'deployed', 60, manifest, `echo '${forbidden}' >&2; exit 1`);
  await lib.install(context, { app: 'devops' });
  assert.equal(context.reported, ['unchanged']);
  assert.ok(context.logged.includes(`cannot check for manual changes: ${forbidden}`));
});

test('a kubectl, helm or helm’s Secret that cannot be read is no statement about a release', async ({
  lib,
  clone,
  context,
}) => {
  rendering(clone);
  const what = async () => (await failureOf(lib.install(context, { app: 'devops' }))).what;
  for (const [found, told] of [
    ['exit 3', '`kubectl get` failed with exit code 3'],
    ['kill -9 $$', '`kubectl get` was ended by SIGKILL'],
    ['echo "Unable to connect to the server: timeout" >&2; exit 1', '`kubectl get` failed with exit code 1'],
  ] as const) {
    cluster(clone, 'deployed', 60, manifest, found);
    assert.is(await what(), told);
  }
  // A history that is empty, or no JSON, would have the release removed.
  cluster(clone, 'pending-upgrade', 1);
  helm(clone, []);
  assert.is(await what(), 'helm knows no revision of devops');
  clone.script('helm', 'exit 0');
  assert.is(await what(), '`helm history devops` gave no answer that can be read');
  assert.not.ok(helmCalls(clone).some((line) => /uninstall|rollback/.test(line)));
  const labels = { name: 'devops', status: 'deployed', version: '3' };
  const items = [{ metadata: { name: 'v3', namespace: 'core', labels }, data: { release: 'bm8=' } }];
  clone.script('kubectl', `echo '${JSON.stringify({ items })}'`);
  assert.is(await what(), 'the Secret core/v3, in which helm keeps a release, cannot be read');
  clone.script('kubectl', 'exit 0');
  assert.match(await what(), /^`kubectl get secrets .*` gave no answer that can be read$/);
  assert.equal(context.reported, []);
});

test('where one kind may not be listed the others are compared', async ({ lib, clone, context }) => {
  rendering(clone);
  const owned = { manager: 'somebody', fieldsV1: { 'f:metadata': { 'f:labels': { 'f:name': {} } } } };
  const namespace = {
    ...objects[0],
    metadata: {
      name: 'backend',
      labels: { name: 'other', 'app.kubernetes.io/managed-by': 'Helm' },
      annotations: { 'meta.helm.sh/release-name': 'devops', 'meta.helm.sh/release-namespace': 'core' },
      managedFields: [owned],
    },
  };
  const forbidden = 'Error from server (Forbidden): secrets is forbidden: User "me" cannot list';
  cluster(clone, 'deployed', 60, manifest, `${listed([namespace])}; echo '${forbidden}' >&2; exit 1`);
  await lib.install(context, { app: 'devops' });
  assert.equal(
    context.logged.filter((line) => line.startsWith('devops was changed')),
    ['devops was changed: namespace backend .metadata.labels.name: other (somebody) → wrong'],
  );
});

test('what somebody added is told without its value, and a pause as a fault; an install has nothing to take back', async ({
  lib,
  clone,
  context,
}) => {
  rendering(clone);
  const metadata = {
    labels: { 'app.kubernetes.io/managed-by': 'Helm' },
    annotations: { 'meta.helm.sh/release-name': 'devops', 'meta.helm.sh/release-namespace': 'core' },
  };
  const by = (manager: string, fieldsV1: object) => ({ managedFields: [{ manager, fieldsV1 }] });
  const [namespace, deployment, secret] = objects;
  const found = [
    namespace,
    {
      ...deployment,
      metadata: {
        ...deployment?.metadata,
        ...metadata,
        ...by('kubectl-rollout', { 'f:spec': { 'f:paused': {}, 'f:minReadySeconds': {} } }),
      },
      spec: { paused: true, minReadySeconds: 9 },
      status: { readyReplicas: 1 },
    },
    {
      ...secret,
      metadata: { ...secret?.metadata, ...metadata, ...by('kubectl-patch', { 'f:data': { 'f:more': {} } }) },
      data: { more: 'aGlkZGVu' },
    },
  ] as readonly Found[];
  cluster(clone, 'deployed', 60, manifest, listed(found));
  await lib.install(context, { app: 'devops' });
  const left = 'an install leaves it: remove it by hand';
  assert.equal(context.logged.slice(0, -1), [
    'devops: deployment frontend/front is paused: `kubectl -n frontend rollout resume deployment front` lets it go on',
    `devops: deployment frontend/front .spec was added by kubectl-rollout; ${left}`,
    `devops: secret core/password .data.more was added by kubectl-patch; ${left}`,
  ]);
  assert.equal(context.reported, ['unchanged']);
});

test('only a deployed release can be tested', async ({ lib, clone, context }) => {
  cluster(clone, 'failed', 60);
  const error = await failureOf(lib.test(context, { app: 'devops' }));
  assert.is(error.what, 'not deployed: devops');
  assert.is(error.advice, 'run `npx tsx tasks.ts install-app devops`');
});

test('words after -- go to helmfile, which is then called in any case', async ({ lib, clone, context }) => {
  cluster(clone, 'deployed', 60);
  await lib.install({ ...context, passThrough: ['--debug'] }, { app: 'devops' });
  assert.ok(clone.calls().some((line) => / sync .* --debug$/.test(line)));
});

/** Commands that fail with the error class of the clone, which the clone's modules know. */
async function withShell(clone: ScriptedClone): Promise<CloneContext> {
  const { createShell } =
    await clone.lib<typeof import('../../../lib/runner/start-command.ts')>('runner/start-command.ts');
  const $ = createShell({
    interactive: false,
    check: () => {},
    spawn: (command, args, settings) => spawn(command, args, { ...settings, detached: true }),
    end: (child) => child.kill(),
    onCommand: () => {},
    onOutput: () => {},
    redact: (text) => text,
  });
  return { ...(await clone.context('minikube')), $ };
}

/** A helmfile whose command fails as it does when helm fails with a release. */
const failing = (clone: ScriptedClone, word: string, release: string, said: string, seconds = 0): void =>
  clone.script(
    'helmfile',
    `${emptyFolders}
case "$*" in *${word}*) sleep ${seconds}; cat >&2 <<'END'\nARGS:\n  0: helm (4 bytes)\n  1: ${release} (1 bytes)\n\nSTDERR:\n  ${said}\n  Use --debug flag to render out invalid YAML\n\nCOMBINED OUTPUT:\n  ${said}\n  Use --debug flag to render out invalid YAML\nEND\nexit 1;; esac`,
  );

test('of several releases only the failed one is named, and helm’s word decides whether it is back', async ({
  lib,
  clone,
}) => {
  const context = await withShell(clone);
  cluster(clone, 'deployed', 60);
  const said = 'Error: release app2-back failed, and has been rolled back due to x';
  failing(clone, 'sync', 'app2-back', said);
  const back = await failureOf(lib.install(context, { app: 'app2' }));
  assert.is(back.what, 'installing app2-back failed; what was deployed before is back');
  assert.is(back.why, said);
  failing(clone, 'sync', 'app2-back', 'Error: context deadline exceeded');
  const left = await failureOf(lib.install(context, { app: 'app2' }));
  assert.is(left.what, 'installing app2-back failed');
});

test('an error in a template is told with helm’s message, whether it shows in rendering or in the install', async ({
  lib,
  clone,
}) => {
  const said = 'Error: execution error at (devops/templates/a.yaml:3:4): my very own message';
  for (const [status, word, doing] of [
    ['deployed', '--output-dir', 'rendering'],
    ['failed', 'sync', 'installing'],
  ] as const) {
    cluster(clone, status, 60);
    failing(clone, word, 'devops', said);
    const context = await withShell(clone);
    const error = await failureOf(lib.install(context, { app: 'devops' }));
    assert.is(error.what, `${doing} devops failed`);
    assert.is(error.why, said);
    assert.match(
      error.advice ?? '',
      /^mend charts\/devops or environments\/development\/ and run again; nothing/,
    );
  }
});

test('of the checks only the failed one is named', async ({ lib, clone }) => {
  const context = await withShell(clone);
  cluster(clone, 'deployed', 60);
  failing(clone, '--filter', 'devops', 'Error: 1 error occurred: job failed: BackoffLimitExceeded');
  const error = await failureOf(lib.test(context, { app: 'devops' }));
  assert.is(error.what, 'the check of devops failed');
  assert.is(error.why, 'Error: 1 error occurred: job failed: BackoffLimitExceeded');
});

test('a failed check is explained by its own pod, and an authority that was made anew by what hands it on', async ({
  lib,
  clone,
}) => {
  const reason = 'FAILED database login: unable to verify the first certificate';
  const ended = { state: { terminated: { exitCode: 1, message: reason } } };
  const status = JSON.stringify({ containerStatuses: [{ name: 'check', ...ended }] });
  const pods = ['reloader-check-a', 'devops-check-b'].map((pod) => `core|${pod}|${status}`);
  cluster(clone, 'deployed', 60, '', undefined, printed(pods));
  failing(clone, '--filter', 'devops', 'Error: job failed: BackoffLimitExceeded', 1);
  const error = await failureOf(lib.test(await withShell(clone), { app: 'devops' }));
  assert.is(error.why, `pod core/devops-check-b: ${reason}`);
  assert.match(error.advice ?? '', /^run `.* install-tier core`: /);
});

test('a helmfile that writes nothing has not rendered: nothing counts as changed', async ({
  lib,
  clone,
  context,
}) => {
  cluster(clone, 'deployed', 60);
  clone.script('helmfile', '');
  const error = await failureOf(lib.install(context, { app: 'devops' }));
  assert.is(error.what, 'helmfile rendered nothing for devops');
  assert.not.ok(clone.calls().some(isSync));
});

test('when helmfile comes to no release none is said to have failed or to be back', async ({
  lib,
  clone,
}) => {
  const context = await withShell(clone);
  cluster(clone, 'deployed', 60);
  clone.script('helmfile', 'case "$*" in *sync*) echo "unknown flag: --bogus" >&2; exit 1;; esac');
  const error = await failureOf(lib.install({ ...context, passThrough: ['--bogus'] }, { app: 'app2' }));
  assert.is(error.what, 'installing failed before it came to a release');
  assert.is(error.why, 'unknown flag: --bogus');
});

test('a helmfile that ends without a word is told with how it ended, and nothing follows from it', async ({
  lib,
  clone,
}) => {
  const context = await withShell(clone);
  for (const [body, ended, status] of [
    ['kill -9 $$', 'ended by SIGKILL', 137],
    [
      'echo "Upgrading release=devops" >&2; kill -9 $$',
      'ended by SIGKILL after: Upgrading release=devops',
      137,
    ],
    ['exit 3', 'exit code 3', 3],
  ] as const) {
    clone.script('helmfile', `${emptyFolders}\ncase "$*" in *sync*|*--filter*) ${body};; esac`);
    cluster(clone, 'failed', 60);
    const failed = await failureOf(lib.install(context, { app: 'devops' }));
    assert.is(failed.what, 'installing devops failed');
    assert.is(failed.why, `helmfile: ${ended}; what was changed is not known`);
    assert.match(failed.advice ?? '', /^run it again: an install repairs/);
    assert.is(failed.exitCode, status);
    cluster(clone, 'deployed', 60);
    const check = await failureOf(lib.test(context, { app: 'devops' }));
    assert.equal([check.what, check.why], ['the check of devops failed', `helmfile: ${ended}`]);
  }
});

// The last one: which helm is used is asked once.
test('Helm 3 is given no words that it does not know', async ({ lib, clone, context }) => {
  cluster(clone, 'failed', 60);
  const program = join(clone.folder, '..', 'bin', 'helm');
  writeFileSync(program, '#!/bin/sh\necho v3.18.6\n', { mode: 0o755 });
  await lib.install(context, { app: 'devops' });
  assert.ok(
    clone.calls().some((line) => line.endsWith('-l name=devops sync')),
    clone.calls().join('\n'),
  );
});

test.run();
