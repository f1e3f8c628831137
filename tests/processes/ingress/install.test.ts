import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { controllerCommands, ensureController } from '../../../lib/ingress/install.ts';
import { removeController } from '../../../lib/ingress/installed.ts';
import type { Settings } from '../../../lib/settings/settings.ts';
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf } from '../../rig/task-context.ts';

const test = suite<{ context: CloneContext }>('ingress controller');
const project = scriptedFolder('charts', 'environments');

/** What was applied last: the controller's namespace and its record. */
const applied = join(project.folder, '..', 'applied.json');

test.before.each(async (state) => {
  rmSync(applied, { force: true });
  state.context = await project.context('existing');
  project.forget();
});
test.after.each(project.reset);
test.after(project.remove);

type Cluster = {
  classes?: string[];
  types?: string[];
  namespaces?: string[];
  /** Of its types. */
  objects?: object[];
  /** helm's record of our release. */
  releases?: object[];
};

/** helm's record of an install that was killed long ago. */
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

/** kubectl and helm for a cluster with these objects; our install adds the class. */
function cluster({ classes = [], types = [], namespaces = [], objects = [], releases = [] }: Cluster) {
  const list = (items: unknown[]) => `echo '${JSON.stringify({ items })}'`;
  const named = (names: string[]) => list(names.map((name) => ({ metadata: { name } })));
  const classList = (names: string[]) =>
    list(names.map((controller) => ({ metadata: { name: 'some-class' }, spec: { controller } })));
  const installed = join(project.folder, '..', 'installed');
  rmSync(installed, { force: true });
  project.script(
    'kubectl',
    `case "$*" in
*"get ingressclass"*) if [ -e ${installed} ]; then ${classList(['traefik.io/ingress-controller'])}; else ${classList(classes)}; fi;;
*"get crd httproutes"*) ;;
*"get crd"*) ${named(types)};;
*"get namespaces"*) ${named(namespaces)};;
*" apply "*) cat > ${applied};;
*"get configmaps"*) if [ -e ${applied} ]; then sed 's/.*\\({"apiVersion":"v1","kind":"ConfigMap".*\\]\\)}$/{"items":[\\1}/' ${applied}; else ${list([])}; fi;;
*" delete namespace "* | *" delete configmap "*) rm ${applied};;
*" --all-namespaces -o json"*) ${list(objects)};;
*"get secrets"*) ${list(releases)};;
esac`,
  );
  project.script(
    'helm',
    `case "$*" in
*" upgrade "*) touch ${installed};;
*" history "*) echo '[{"revision": 1, "status": "pending-install"}]';;
esac`,
  );
}

const ensure = ({ settings, ...context }: CloneContext, ingress: Partial<Settings['ingress']> = {}) =>
  ensureController({ ...context, settings: { ...settings, ingress: { ...settings.ingress, ...ingress } } });

/** Calls, without the arguments that choose the cluster. */
const calls = (): string[] =>
  project.calls().map((line) => line.replace(/ --kubeconfig \S+ --(?:kube-)?context \S+/, ''));

const changes = (): string[] => calls().filter((line) => /apply|delete|upgrade|uninstall/.test(line));

test('Traefik is installed from its chart into its own namespace, and not changed again', async ({
  context,
}) => {
  cluster({ namespaces: ['default'] });
  assert.is(await ensure(context), 'changed');
  const [started, upgrade, ended, ...more] = changes();
  assert.is(started, 'kubectl apply --server-side --force-conflicts -f -');
  assert.is(ended, started);
  assert.match(
    upgrade ?? '',
    /^helm --namespace ingress upgrade --install traefik traefik --repo https:\/\/traefik\.github\.io\/charts --version 41\.3\.0 --set-json \{.*\} --wait --timeout 300s --force-conflicts --server-side=true$/,
  );
  assert.equal(more, []);
  project.forget();
  assert.is(await ensure(context), 'unchanged');
  assert.equal(changes(), []);
});

test('a changed value and a changed file of a local chart are installed', async ({ context }) => {
  cluster({});
  await ensure(context);
  assert.is(await ensure(context, { values: { deployment: { replicas: 3 } } }), 'changed');
  const chart = { chart: './charts/traefik', repository: '', version: '', values: { replicas: 1 } };
  assert.is(await ensure(context, { chart }), 'changed');
  assert.match(changes().at(-2) ?? '', ' traefik ./charts/traefik --set-json {"replicas":1} --wait');
  assert.is(await ensure(context, { chart }), 'unchanged');
  const file = join(project.folder, 'charts/traefik/templates/service.yaml');
  const before = readFileSync(file, 'utf8');
  writeFileSync(file, `${before}\n`);
  assert.is(await ensure(context, { chart }), 'changed');
  writeFileSync(file, before);
});

test('Traefik accepts the PROXY protocol from the load balancers of the settings', async ({ context }) => {
  cluster({});
  const loadBalancer = { cidrs: ['10.0.0.0/16'], proxyProtocol: true };
  const values = { ports: { web: { asDefault: true } } };
  await ensure(context, { loadBalancer, values });
  const port = '{"proxyProtocol":{"trustedIPs":["10.0.0.0/16"]}';
  assert.ok(
    changes()
      .at(-2)
      ?.includes(`"web":{"asDefault":true,${port.slice(1)}},"websecure":${port}}`),
  );
  const chart = { chart: './charts/traefik', repository: '', version: '', values: { replicas: 1 } };
  await ensure(context, { loadBalancer, chart });
  assert.match(changes().at(-2) ?? '', '{"replicas":1,"proxyProtocol":["10.0.0.0/16"]}');
});

test('a controller installed by others is neither changed nor removed', async ({ context }) => {
  cluster({ classes: ['traefik.io/ingress-controller'] });
  assert.is(await ensure(context), 'unchanged');
  assert.match(context.logged[0] ?? '', /\(IngressClass some-class\), which is not changed/);
  assert.match(context.logged[1] ?? '', 'set releases.frontend.ingress.className to some-class');
  await ensure(context, { kind: 'httproute' }).catch(() => undefined);
  const frontend = { ingress: { className: 'some-class' } };
  const settings = { ...context.settings, releases: { ...context.settings.releases, frontend } };
  await ensure({ ...context, settings });
  assert.is(context.logged.filter((line) => line.includes('className')).length, 1);
  await removeController(context);
  assert.equal(changes(), []);
});

test('a class of another controller does not count', async ({ context }) => {
  cluster({ classes: ['k8s.io/ingress-nginx'] });
  assert.is(await ensure(context), 'changed');
});

test('a missing ingress-nginx is logged, not installed; without a controller nothing is checked', async ({
  context,
}) => {
  cluster({});
  assert.is(await ensure(context, { controller: 'nginx' }), 'unchanged');
  assert.match(context.logged[0] ?? '', /no IngressClass of k8s\.io\/ingress-nginx: install nginx/);
  project.forget();
  assert.is(await ensure(context, { controller: 'none' }), 'unchanged');
  assert.equal(calls(), []);
});

test('an existing namespace is not labelled, and is kept', async ({ context }) => {
  cluster({ namespaces: ['ingress'] });
  await ensure(context);
  assert.not.match(readFileSync(applied, 'utf8'), '"kind":"Namespace"');
  await removeController(context);
  assert.equal(
    changes().map((line) => line.split(' ').slice(0, 4).join(' ')),
    [
      'kubectl apply --server-side --force-conflicts',
      'helm --namespace ingress upgrade',
      'kubectl apply --server-side --force-conflicts',
      'helm --namespace ingress uninstall',
      'kubectl -n ingress delete',
    ],
  );
});

test('what was installed is removed, types included, unless others use them', async ({ context }) => {
  const types = ['middlewares.traefik.io', 'others.example', 'tlsstores.traefik.io'];
  cluster({ types: ['tlsstores.traefik.io'] });
  await ensure(context);
  cluster({ types });
  project.forget();
  await removeController(context);
  assert.equal(changes(), [
    'helm --namespace ingress uninstall traefik --ignore-not-found --wait',
    'kubectl delete crd middlewares.traefik.io --ignore-not-found',
    'kubectl delete namespace ingress --ignore-not-found --wait --timeout 300s',
  ]);
  cluster({ types: ['tlsstores.traefik.io'] });
  await ensure(context);
  cluster({ types, objects: [{ metadata: { namespace: 'other', name: 'of-somebody' } }] });
  project.forget();
  await removeController(context);
  assert.not.ok(changes().some((line) => line.includes('delete crd')));
  assert.match(context.logged.at(-1) ?? '', 'other namespaces use them');
});

test('a failed or killed run is continued, and still knows what existed before', async ({ context }) => {
  cluster({ types: ['before.traefik.io'] });
  // helm's record of the release comes from the cluster: nothing is done when that does not answer.
  project.script(
    'kubectl',
    `case "$*" in *"get secrets"*) echo "Unable to connect to the server: timeout" >&2; exit 1;; *"get crd"*) echo '{"items": [{"metadata": {"name": "before.traefik.io"}}]}';; *) echo '{"items": []}';; esac`,
  );
  await failureOf(ensure(context));
  assert.not.ok(changes().some((line) => /uninstall|upgrade/.test(line)));
  cluster({ types: ['before.traefik.io'] });
  project.script('helm', 'echo "Error: cannot reach the chart" >&2; exit 1');
  const failure = await failureOf(ensure(context));
  assert.match(failure.message, 'traefik could not be installed');
  assert.match(failure.why ?? '', 'cannot reach the chart');
  assert.match(failure.advice ?? '', './charts/traefik');
  cluster({
    types: ['before.traefik.io', 'after.traefik.io'],
    releases: [pendingTraefik],
  });
  assert.is(await ensure(context), 'changed');
  assert.ok(changes().includes('helm --namespace ingress uninstall traefik --wait --timeout 300s'));
  await removeController(context);
  assert.match(changes().at(-2) ?? '', /delete crd after\.traefik\.io --/);
});

test('another machine upgrades and removes it, too', async ({ context }) => {
  cluster({});
  await ensure(context);
  const elsewhere = await project.context('existing');
  rmSync(elsewhere.environment.state, { recursive: true, force: true });
  assert.is(await ensure(elsewhere), 'unchanged');
  assert.is(await ensure(elsewhere, { values: { deployment: { replicas: 3 } } }), 'changed');
  await removeController(elsewhere);
  assert.match(changes().at(-1) ?? '', 'delete namespace ingress');
  assert.not.ok(existsSync(applied));
});

test('a controller in another namespace than the settings name is neither moved nor left without its fronts', async ({
  context,
}) => {
  cluster({});
  await ensure(context);
  project.forget();
  const error = await failureOf(ensure(context, { namespace: 'other' }));
  assert.match(error.what, /in the namespace other, but create-k8s installed it into ingress$/);
  assert.match(error.advice ?? '', /^set ingress\.namespace: ingress; .* uninstall traefik --wait/);
  assert.equal(changes(), []);
  assert.is(await ensure(context, { namespace: 'other', controller: 'nginx' }), 'unchanged');
});

test('a damaged record is reported, and nothing is changed', async ({ context }) => {
  cluster({ classes: ['traefik.io/ingress-controller'] });
  writeFileSync(
    applied,
    '{"items":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"ingress"}}]}',
  );
  for (const action of [() => ensure(context), () => removeController(context)])
    assert.match((await failureOf(action())).what, /ConfigMap k8s-deployment-ingress .* is damaged/);
  assert.equal(changes(), []);
});

/** A Traefik whose pods do not start, shown by the API in the watch or only in a list. */
function failing(watched: boolean): void {
  cluster({});
  const waiting = { reason: 'ImagePullBackOff', message: 'Back-off pulling image "traefik:v0"' };
  const status = { phase: 'Pending', containerStatuses: [{ name: 'traefik', state: { waiting } }] };
  const pod = { metadata: { namespace: 'ingress', name: 'traefik-x' }, status };
  // helm fails after the watch was read, which then requests the pod's log.
  const told = join(project.folder, '..', 'told');
  rmSync(told, { force: true });
  execFileSync('mkfifo', [told]);
  const watch = watched ? `echo 'ingress|traefik-x||${JSON.stringify(status)}';` : '';
  project.script(
    'kubectl',
    `case "$*" in
*"get pods -A --watch-only"*) ${watch} exec sleep 1000;;
*"get pods -A -o json"*) echo '${JSON.stringify({ items: [pod] })}';;
*--watch-only*) exec sleep 1000;;
*" logs "*) echo told > ${told}; echo 'a line of its log';;
*) echo '{"items":[]}';;
esac`,
  );
  project.script(
    'helm',
    `case "$*" in *" upgrade "*) ${watched ? `read -r line < ${told};` : ''} echo "Error: context deadline exceeded" >&2; exit 1;; esac`,
  );
}

test('pods that do not start are the reason, and all findings are saved', async ({ context }) => {
  for (const watched of [true, false]) {
    failing(watched);
    const failure = await failureOf(ensure(context));
    assert.is(failure.message.split(':')[0], 'the ingress controller traefik does not start');
    assert.is(
      failure.why,
      'pod ingress/traefik-x: container traefik: ImagePullBackOff: Back-off pulling image "traefik:v0"',
    );
    const file = /\.state\/\S+-traefik\.txt$/.exec(failure.advice ?? '')?.[0] ?? '';
    const kept = readFileSync(join(project.folder, file), 'utf8');
    if (watched) assert.match(kept, /# pod ingress\/traefik-x[\s\S]*a line of its log/);
  }
});

test('HTTPRoutes need the types of the Gateway API', async ({ context }) => {
  cluster({});
  const failure = await failureOf(ensure(context, { kind: 'httproute' }));
  assert.match(failure.message, 'the cluster has no HTTPRoute');
  assert.match(failure.advice ?? '', 'ingress.kind: ingress');
});

test('the dry run prints what is called', async ({ context }) => {
  cluster({ namespaces: [] });
  await ensure(context);
  const printed = controllerCommands(context).filter((line) => line.startsWith('helm'));
  const called = changes().filter((line) => line.startsWith('helm'));
  const plain = (line: string) =>
    line.replaceAll("'", '').replace(/ --kubeconfig \S+ --kube-context \S+/, '');
  assert.equal(printed.map(plain), called.map(plain));
});

test.run();
