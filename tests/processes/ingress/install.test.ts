import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Environment } from '../../../lib/settings/environment.ts';
import type { Settings } from '../../../lib/settings/settings.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf, type RecordedContext } from '../../rig/task-context.ts';

type State = {
  clone: ScriptedClone;
  lib: typeof import('../../../lib/ingress/install.ts') & typeof import('../../../lib/ingress/remove.ts');
  environment: Environment;
  settings: Settings;
  context: RecordedContext;
};

const test = suite<State>('ingress controller');

test.before(async (state) => {
  state.clone = scriptedClone();
  const [install, remove] = await Promise.all([
    state.clone.lib<typeof import('../../../lib/ingress/install.ts')>('ingress/install.ts'),
    state.clone.lib<typeof import('../../../lib/ingress/remove.ts')>('ingress/remove.ts'),
  ]);
  state.lib = { ...install, ...remove };
  state.environment = await state.clone.environment('existing');
  const { loadSettings } =
    await state.clone.lib<typeof import('../../../lib/settings/settings.ts')>('settings/settings.ts');
  state.settings = await loadSettings('development', 'existing');
});
test.before.each(async (state) => {
  state.context = await state.clone.context('existing');
  state.clone.forget();
  rmSync(state.environment.state, { recursive: true, force: true });
});
test.after.each(({ clone }) => clone.reset());
test.after(({ clone }) => clone.remove());

type Cluster = {
  classes?: string[];
  types?: string[];
  namespaces?: string[];
  objects?: string;
  /** helm's record of our release. */
  releases?: object[];
};

/** What helm keeps of an install that was killed long ago. */
const pendingTraefik = {
  metadata: {
    name: 'sh.helm.release.v1.traefik.v1',
    namespace: 'ingress',
    labels: { name: 'traefik', status: 'pending-install', version: '1', owner: 'helm' },
  },
  data: {
    release: Buffer.from(
      gzipSync('{"manifest": "", "info": {"last_deployed": "2026-01-02T03:04:05Z"}}').toString('base64'),
    ).toString('base64'),
  },
};

/** kubectl and helm on a cluster in which this is; an install of ours adds the class. */
function cluster(
  { clone }: State,
  { classes = [], types = [], namespaces = [], objects = '', releases = [] }: Cluster,
) {
  const list = (items: unknown[]) => `echo '${JSON.stringify({ items })}'`;
  const named = (names: string[]) => list(names.map((name) => ({ metadata: { name } })));
  const classList = (names: string[]) =>
    list(names.map((controller) => ({ metadata: { name: 'some-class' }, spec: { controller } })));
  const installed = join(clone.folder, '..', 'installed');
  rmSync(installed, { force: true });
  clone.script(
    'kubectl',
    `case "$*" in
*"get ingressclass"*) if [ -e ${installed} ]; then ${classList(['traefik.io/ingress-controller'])}; else ${classList(classes)}; fi;;
*"get crd httproutes"*) ;;
*"get crd"*) ${named(types)};;
*"get namespaces"*) ${named(namespaces)};;
*"get secrets"*) ${list(releases)};;
*" -A -o name"*) printf '%s' '${objects}';;
esac`,
  );
  clone.script(
    'helm',
    `case "$*" in
*" upgrade "*) touch ${installed};;
*" history "*) echo '[{"revision": 1, "status": "pending-install"}]';;
esac`,
  );
}

const ensure = ({ lib, environment, settings, context }: State, ingress: Partial<Settings['ingress']> = {}) =>
  lib.ensureController({
    ...context,
    environment,
    settings: { ...settings, ingress: { ...settings.ingress, ...ingress } },
  });

/** What was called, without the words that say where. */
const calls = ({ clone }: State): string[] =>
  clone.calls().map((line) => line.replace(/ --kubeconfig \S+ --(?:kube-)?context \S+/, ''));

const changes = (state: State): string[] =>
  calls(state).filter((line) => /apply|delete|upgrade|uninstall/.test(line));

test('Traefik is installed from its chart, in a namespace of its own, and left alone from then on', async (state) => {
  cluster(state, { namespaces: ['default'] });
  assert.is(await ensure(state), 'changed');
  const [namespace, upgrade, ...more] = changes(state);
  assert.is(namespace, 'kubectl apply --server-side --force-conflicts -f -');
  assert.match(
    upgrade ?? '',
    /^helm --namespace ingress upgrade --install traefik traefik --repo https:\/\/traefik\.github\.io\/charts --version 39\.0\.7 --set-json \{.*\} --wait --timeout 300s --force-conflicts --server-side=true$/,
  );
  assert.equal(more, []);
  state.clone.forget();
  assert.is(await ensure(state), 'unchanged');
  assert.equal(changes(state), []);
});

test('a changed value and a changed file of a local chart are installed', async (state) => {
  cluster(state, {});
  await ensure(state);
  assert.is(await ensure(state, { values: { deployment: { replicas: 3 } } }), 'changed');
  const chart = { chart: './charts/traefik', repository: '', version: '', values: { replicas: 1 } };
  assert.is(await ensure(state, { chart }), 'changed');
  assert.match(changes(state).at(-1) ?? '', ' traefik ./charts/traefik --set-json {"replicas":1} --wait');
  assert.is(await ensure(state, { chart }), 'unchanged');
  const file = join(state.clone.folder, 'charts/traefik/templates/service.yaml');
  const before = readFileSync(file, 'utf8');
  writeFileSync(file, `${before}\n`);
  assert.is(await ensure(state, { chart }), 'changed');
  writeFileSync(file, before);
});

test('a controller that somebody else installed is left alone, and destroyed by nobody', async (state) => {
  cluster(state, { classes: ['traefik.io/ingress-controller'] });
  assert.is(await ensure(state), 'unchanged');
  assert.match(state.context.logged[0] ?? '', /IngressClass some-class: left alone/);
  await state.lib.removeController({ ...state.context, environment: state.environment });
  assert.equal(changes(state), []);
  assert.not.ok(existsSync(join(state.environment.state, 'ingress.json')));
});

test('a class of another controller is none of Traefik', async (state) => {
  cluster(state, { classes: ['k8s.io/ingress-nginx'] });
  assert.is(await ensure(state), 'changed');
});

test('ingress-nginx is not installed, and its lack is said; without a controller nothing is asked', async (state) => {
  cluster(state, {});
  assert.is(await ensure(state, { controller: 'nginx' }), 'unchanged');
  assert.match(state.context.logged[0] ?? '', /no IngressClass of k8s\.io\/ingress-nginx: install nginx/);
  state.clone.forget();
  assert.is(await ensure(state, { controller: 'none' }), 'unchanged');
  assert.equal(calls(state), []);
});

test('a namespace that was there is not labelled, and stays', async (state) => {
  cluster(state, { namespaces: ['ingress'] });
  await ensure(state);
  await state.lib.removeController({ ...state.context, environment: state.environment });
  assert.equal(
    changes(state).map((line) => line.split(' ').slice(0, 4).join(' ')),
    ['helm --namespace ingress upgrade', 'helm --namespace ingress uninstall'],
  );
});

test('what came with the installation goes with it, types included, unless others use them', async (state) => {
  const types = ['middlewares.traefik.io', 'others.example', 'tlsstores.traefik.io'];
  cluster(state, { types: ['tlsstores.traefik.io'] });
  await ensure(state);
  cluster(state, { types });
  state.clone.forget();
  await state.lib.removeController({ ...state.context, environment: state.environment });
  assert.equal(changes(state), [
    'helm --namespace ingress uninstall traefik --ignore-not-found --wait',
    'kubectl delete namespace ingress --ignore-not-found --wait --timeout 300s',
    'kubectl delete crd middlewares.traefik.io --ignore-not-found',
  ]);
  cluster(state, { types, objects: 'middleware.traefik.io/of-somebody' });
  state.clone.forget();
  await state.lib.removeController({ ...state.context, environment: state.environment });
  assert.not.ok(changes(state).some((line) => line.includes('delete crd')));
  assert.match(state.context.logged.at(-1) ?? '', 'other namespaces use them');
});

test('a run that failed or was killed is taken up again, and still knows what was there before', async (state) => {
  cluster(state, { types: ['before.traefik.io'] });
  // helm's record of the release comes from the cluster: nothing is done when that does not answer.
  state.clone.script(
    'kubectl',
    `case "$*" in *"get secrets"*) echo "Unable to connect to the server: timeout" >&2; exit 1;; *"get crd"*) echo '{"items": [{"metadata": {"name": "before.traefik.io"}}]}';; *) echo '{"items": []}';; esac`,
  );
  await failureOf(ensure(state));
  assert.not.ok(changes(state).some((line) => /uninstall|upgrade/.test(line)));
  cluster(state, { types: ['before.traefik.io'] });
  state.clone.script('helm', 'echo "Error: cannot reach the chart" >&2; exit 1');
  const failure = await failureOf(ensure(state));
  assert.match(failure.message, 'traefik could not be installed');
  assert.match(failure.why ?? '', 'cannot reach the chart');
  assert.match(failure.advice ?? '', './charts/traefik');
  cluster(state, {
    types: ['before.traefik.io', 'after.traefik.io'],
    releases: [pendingTraefik],
  });
  assert.is(await ensure(state), 'changed');
  assert.ok(changes(state).includes('helm --namespace ingress uninstall traefik --wait --timeout 300s'));
  await state.lib.removeController({ ...state.context, environment: state.environment });
  assert.match(changes(state).at(-1) ?? '', /delete crd after\.traefik\.io --/);
});

/** A Traefik whose pods do not come up, as the API tells it: by the watch, or only when it is asked. */
function failing(state: State, watched: boolean): void {
  cluster(state, {});
  const waiting = { reason: 'ImagePullBackOff', message: 'Back-off pulling image "traefik:v0"' };
  const status = { phase: 'Pending', containerStatuses: [{ name: 'traefik', state: { waiting } }] };
  const pod = { metadata: { namespace: 'ingress', name: 'traefik-x' }, status };
  // helm fails once what the watch told is known: the pod's log is asked for then.
  const told = join(state.clone.folder, '..', 'told');
  rmSync(told, { force: true });
  execFileSync('mkfifo', [told]);
  const watch = watched ? `echo 'ingress|traefik-x|${JSON.stringify(status)}';` : '';
  state.clone.script(
    'kubectl',
    `case "$*" in
*"get pods -A --watch-only"*) ${watch} exec sleep 1000;;
*"get pods -A -o json"*) echo '${JSON.stringify({ items: [pod] })}';;
*--watch-only*) exec sleep 1000;;
*" logs "*) echo told > ${told}; echo 'a line of its log';;
*) echo '{"items":[]}';;
esac`,
  );
  state.clone.script(
    'helm',
    `case "$*" in *" upgrade "*) ${watched ? `read -r line < ${told};` : ''} echo "Error: context deadline exceeded" >&2; exit 1;; esac`,
  );
}

test('pods that do not start are the reason, and all that was seen is kept', async (state) => {
  for (const watched of [true, false]) {
    failing(state, watched);
    const failure = await failureOf(ensure(state));
    assert.is(failure.message.split(':')[0], 'the ingress controller traefik does not start');
    assert.is(
      failure.why,
      'pod ingress/traefik-x: container traefik: ImagePullBackOff: Back-off pulling image "traefik:v0"',
    );
    const file = /\.state\/\S+-traefik\.txt$/.exec(failure.advice ?? '')?.[0] ?? '';
    const kept = readFileSync(join(state.clone.folder, file), 'utf8');
    if (watched) assert.match(kept, /# pod ingress\/traefik-x[\s\S]*a line of its log/);
  }
});

test('HTTPRoutes need the types of the Gateway API', async (state) => {
  cluster(state, {});
  const failure = await failureOf(ensure(state, { kind: 'httproute' }));
  assert.match(failure.message, 'the cluster has no HTTPRoute');
  assert.match(failure.advice ?? '', 'ingress.kind: ingress');
});

test('what the dry run prints is what is called', async (state) => {
  cluster(state, { namespaces: [] });
  await ensure(state);
  const { environment, settings, lib } = state;
  const printed = lib.controllerCommands({ environment, settings }).filter((line) => line.startsWith('helm'));
  const called = changes(state).filter((line) => line.startsWith('helm'));
  const plain = (line: string) =>
    line.replaceAll("'", '').replace(/ --kubeconfig \S+ --kube-context \S+/, '');
  assert.equal(printed.map(plain), called.map(plain));
});

test.run();
