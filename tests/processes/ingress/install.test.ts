import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { controllerCommands, ensureController } from '../../../lib/ingress/install.ts';
import { removeController } from '../../../lib/ingress/installed.ts';
import {
  context,
  helmRecord,
  listing,
  printing,
  scriptedSuite,
  withSettings,
} from '../../rig/scripted-folder.ts';
import { fails, failureOf } from '../../rig/task-context.ts';

const { test, project } = scriptedSuite('ingress controller', 'existing', 'charts', 'environments');

/** What was applied last: the controller's namespace and its record. */
const applied = join(project.folder, '..', 'applied.json');

test.before.each(() => rmSync(applied, { force: true }));

const [none, nothing] = [[] as readonly string[], [] as readonly object[]];

/** kubectl and helm for a cluster with these, objects of its types and helm's records; our install adds the class. */
function cluster({
  classes = none,
  types = none,
  namespaces = none,
  objects = nothing,
  releases = nothing,
} = {}) {
  const named = (names: typeof none) => listing(...names.map((name) => ({ metadata: { name } })));
  const classList = (names: typeof none) =>
    listing(...names.map((controller) => ({ metadata: { name: 'some-class' }, spec: { controller } })));
  const installed = join(project.folder, '..', 'installed');
  const record = `sed 's/.*\\({"apiVersion":"v1","kind":"ConfigMap".*\\]\\)}$/{"items":[\\1}/' ${applied}`;
  rmSync(installed, { force: true });
  project.script('kubectl', {
    'get ingressclass': `if [ -e ${installed} ]; then ${classList(['traefik.io/ingress-controller'])}; else ${classList(classes)}; fi`,
    'get crd httproutes': '',
    'get crd': named(types),
    'get namespaces': named(namespaces),
    ' apply ': `cat > ${applied}`,
    'get configmaps': `if [ -e ${applied} ]; then ${record}; else ${listing()}; fi`,
    ' delete namespace | delete configmap ': `rm ${applied}`,
    ' --all-namespaces -o json': listing(...objects),
    'get secrets': listing(...releases),
  });
  const history = printing([{ revision: 1, status: 'pending-install' }]);
  project.script('helm', { ' upgrade ': `touch ${installed}`, ' history ': history });
}

const ensure = (ingress: Parameters<typeof withSettings>[0]['ingress'] = {}, of = context) =>
  ensureController(withSettings({ ingress }, of));

const localChart = { chart: './charts/traefik', repository: '', version: '', values: { replicas: 1 } };

const shortly = (line: string): string => line.replace(/ --kubeconfig \S+ --(?:kube-)?context \S+/, '');

const changes = (words = /apply|delete|upgrade|uninstall/): string[] => project.calls(words).map(shortly);

test('Traefik is installed from its chart into its own namespace, as the dry run prints, and not changed again', async () => {
  // A class of another controller does not count.
  cluster({ namespaces: ['default'], classes: ['k8s.io/ingress-nginx'] });
  assert.is(await ensure(), 'changed');
  const [started, upgrade = '', ...more] = changes();
  assert.is(started, 'kubectl apply --server-side --force-conflicts -f -');
  assert.equal(more, [started]);
  const printed = controllerCommands(context).map((line) => shortly(line.replaceAll("'", '')));
  assert.ok(printed.includes(upgrade), printed.join('\n'));
  project.forget();
  assert.is(await ensure(), 'unchanged');
  assert.equal(changes(), []);
});

test('a changed value and a changed file of a local chart are installed', async () => {
  cluster({});
  await ensure();
  assert.is(await ensure({ values: { deployment: { replicas: 3 } } }), 'changed');
  assert.is(await ensure({ chart: localChart }), 'changed');
  assert.match(changes().at(-2) ?? '', ' traefik ./charts/traefik --set-json {"replicas":1} --wait');
  assert.is(await ensure({ chart: localChart }), 'unchanged');
  appendFileSync(join(project.folder, 'charts/traefik/templates/service.yaml'), '\n');
  assert.is(await ensure({ chart: localChart }), 'changed');
});

test('Traefik accepts the PROXY protocol from the load balancers of the settings', async () => {
  cluster({});
  const loadBalancer = { cidrs: ['10.0.0.0/16'], proxyProtocol: true };
  await ensure({ loadBalancer });
  const port = '"asDefault":true,\\S+?,"proxyProtocol":{"trustedIPs":\\["10.0.0.0/16"\\]}}';
  assert.match(changes().at(-2) ?? '', new RegExp(`"web":{${port},"websecure":{${port}`));
  await ensure({ loadBalancer, chart: localChart });
  assert.match(changes().at(-2) ?? '', '{"replicas":1,"proxyProtocol":["10.0.0.0/16"]}');
});

test('a controller installed by others is neither changed nor removed', async () => {
  cluster({ classes: ['traefik.io/ingress-controller'] });
  assert.is(await ensure(), 'unchanged');
  assert.match(context.logged[0] ?? '', /\(IngressClass some-class\), which is not changed/);
  assert.match(context.logged[1] ?? '', 'set releases.frontend.ingress.className to some-class');
  await failureOf(ensure({ kind: 'httproute' }));
  await ensure({}, withSettings({ releases: { frontend: { ingress: { className: 'some-class' } } } }));
  assert.is(context.logged.filter((line) => line.includes('className')).length, 1);
  await removeController(context);
  assert.equal(changes(), []);
});

test('a missing ingress-nginx is logged, not installed; without a controller nothing is checked', async () => {
  cluster({});
  assert.is(await ensure({ controller: 'nginx' }), 'unchanged');
  assert.match(context.logged[0] ?? '', /no IngressClass of k8s\.io\/ingress-nginx: install nginx/);
  project.forget();
  assert.is(await ensure({ controller: 'none' }), 'unchanged');
  assert.equal(project.calls(), []);
});

test('an existing namespace is not labelled, and is kept', async () => {
  cluster({ namespaces: ['ingress'] });
  await ensure();
  assert.not.match(readFileSync(applied, 'utf8'), '"kind":"Namespace"');
  await removeController(context);
  const words = changes().map((line) => line.split(' ').slice(0, 4).join(' '));
  const apply = 'kubectl apply --server-side --force-conflicts';
  const [upgrade, uninstall] = ['upgrade', 'uninstall'].map((word) => `helm --namespace ingress ${word}`);
  assert.equal(words, [apply, upgrade, apply, uninstall, 'kubectl -n ingress delete']);
});

test('what was installed is removed, types included, unless others use them', async () => {
  const types = ['middlewares.traefik.io', 'others.example', 'tlsstores.traefik.io'];
  cluster({ types: ['tlsstores.traefik.io'] });
  await ensure();
  cluster({ types });
  project.forget();
  await removeController(context);
  assert.equal(changes(), [
    'helm --namespace ingress uninstall traefik --ignore-not-found --wait',
    'kubectl delete crd middlewares.traefik.io --ignore-not-found',
    'kubectl delete namespace ingress --ignore-not-found --wait --timeout 300s',
  ]);
  cluster({ types: ['tlsstores.traefik.io'] });
  await ensure();
  cluster({ types, objects: [{ metadata: { namespace: 'other', name: 'of-somebody' } }] });
  project.forget();
  await removeController(context);
  assert.equal(changes(/ delete crd /), []);
  assert.match(context.logged.at(-1) ?? '', 'other namespaces use them');
});

test('a failed or killed run is continued, and still knows what existed before', async () => {
  cluster({ types: ['before.traefik.io'] });
  // helm's record of the release comes from the cluster: nothing is done when that does not answer.
  project.script('kubectl', {
    'get secrets': 'echo "Unable to connect to the server: timeout" >&2; exit 1',
    'get crd': listing({ metadata: { name: 'before.traefik.io' } }),
    '': listing(),
  });
  await failureOf(ensure());
  assert.equal(changes(/uninstall|upgrade/), []);
  cluster({ types: ['before.traefik.io'] });
  project.script('helm', 'echo "Error: cannot reach the chart" >&2; exit 1');
  const what = /traefik could not be installed/;
  await fails(ensure(), { what, why: /cannot reach the chart/, advice: /\.\/charts\/traefik/ });
  const info = { last_deployed: '2026-01-02T03:04:05Z' };
  cluster({
    types: ['before.traefik.io', 'after.traefik.io'],
    releases: [helmRecord('ingress/traefik', 'pending-install', { info })],
  });
  assert.is(await ensure(), 'changed');
  assert.ok(changes().includes('helm --namespace ingress uninstall traefik --wait --timeout 300s'));
  await removeController(context);
  assert.match(changes().at(-2) ?? '', /delete crd after\.traefik\.io --/);
});

test('another machine upgrades and removes it, too', async () => {
  cluster({});
  await ensure();
  const elsewhere = await project.context('existing');
  rmSync(elsewhere.environment.state, { recursive: true, force: true });
  assert.is(await ensure({}, elsewhere), 'unchanged');
  assert.is(await ensure({ values: { deployment: { replicas: 3 } } }, elsewhere), 'changed');
  await removeController(elsewhere);
  assert.match(changes().at(-1) ?? '', 'delete namespace ingress');
  assert.not.ok(existsSync(applied));
});

test('a controller in another namespace than the settings name is neither moved nor left without its fronts', async () => {
  cluster({});
  await ensure();
  project.forget();
  await fails(ensure({ namespace: 'other' }), {
    what: /in the namespace other, but create-k8s installed it into ingress$/,
    advice: /^set ingress\.namespace: ingress; .* uninstall traefik --wait/,
  });
  assert.equal(changes(), []);
  assert.is(await ensure({ namespace: 'other', controller: 'nginx' }), 'unchanged');
});

test('a damaged record is reported, and nothing is changed', async () => {
  cluster({ classes: ['traefik.io/ingress-controller'] });
  const metadata = { namespace: 'ingress' };
  writeFileSync(applied, JSON.stringify({ items: [{ apiVersion: 'v1', kind: 'ConfigMap', metadata }] }));
  for (const action of [ensure, () => removeController(context)])
    await fails(action(), { what: /ConfigMap k8s-deployment-ingress .* is damaged/ });
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
  const line = `ingress|traefik-x||${JSON.stringify(status)}`;
  project.script('kubectl', {
    'get pods -A --watch-only': `${watched ? `echo '${line}';` : ''} exec sleep 1000`,
    'get pods -A -o json': listing(pod),
    '--watch-only': 'exec sleep 1000',
    ' logs ': `echo told > ${told}; echo 'a line of its log'`,
    '': listing(),
  });
  const wait = watched ? `read -r line < ${told};` : '';
  project.script('helm', { ' upgrade ': `${wait} echo "Error: context deadline exceeded" >&2; exit 1` });
}

test('pods that do not start are the reason, and all findings are saved', async () => {
  for (const watched of [true, false]) {
    failing(watched);
    const { advice } = await fails(ensure(), {
      what: 'the ingress controller traefik does not start',
      why: 'pod ingress/traefik-x: container traefik: ImagePullBackOff: Back-off pulling image "traefik:v0"',
    });
    const file = /\.state\/\S+-traefik\.txt$/.exec(advice ?? '')?.[0] ?? '';
    const kept = readFileSync(join(project.folder, file), 'utf8');
    if (watched) assert.match(kept, /# pod ingress\/traefik-x[\s\S]*a line of its log/);
  }
});

test('HTTPRoutes need the types of the Gateway API', async () => {
  cluster({});
  const what = /the cluster has no HTTPRoute/;
  await fails(ensure({ kind: 'httproute' }), { what, advice: /ingress\.kind: ingress/ });
});

test.run();
