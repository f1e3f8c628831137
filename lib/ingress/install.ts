import { TaskError } from '@k8s-deployment/runner';
import { fileDigest, filesBelow } from '../ground/files.ts';
import { shellWords } from '../ground/shell-words.ts';
import { merge, type Tree, valueAt } from '../ground/tree.ts';
import { detailsIn, shownLinesOf } from '../helm/failure.ts';
import { helmCommand, refuseBusy, repairReleases, takeBack, takeBackOptions } from '../helm/helm.ts';
import { ownerLabel } from '../helm/namespaces.ts';
import { deployedReleases } from '../helm/releases.ts';
import { readPods, tellWaiting, unreadyOf, watchCluster } from '../kubernetes/diagnostics.ts';
import { helmText, kubectl, kubectlList, kubectlText, type Named } from '../kubernetes/kubectl.ts';
import type { Context, EnvironmentContext, Outcome, Settings, Target } from '../settings/context.ts';
import { exportHomes, helmHomes } from '../settings/environment.ts';
import { parseRepository } from '../tools/registry.ts';
import { reasonOf } from '../tools/tool-answer.ts';
import { controllerOf } from './controllers.ts';
import {
  type ControllerRecord,
  checkPlace,
  namespaceManifest,
  readRecord,
  releaseName,
  writeRecord,
} from './installed.ts';

const routeType = 'httproutes.gateway.networking.k8s.io';

/** Time limit of helm, in seconds. */
const timeoutSeconds = 300;

/** The values by which Traefik accepts the PROXY protocol: those of its own chart, or of `charts/traefik`. */
function proxyProtocolValues({ chart, loadBalancer }: Settings['ingress']): Tree {
  const { cidrs, proxyProtocol } = loadBalancer;
  if (!proxyProtocol) return {};
  if (chart.chart.startsWith('./')) return { proxyProtocol: cidrs };
  const port = { proxyProtocol: { trustedIPs: cidrs } };
  return { ports: { web: port, websecure: port } };
}

/** Values of the chart in use; those of Traefik's own chart get the image from the settings. */
function valuesOf({ ingress, images: { traefik } }: Settings): Tree {
  const given = proxyProtocolValues(ingress);
  if (ingress.chart.values !== undefined) return merge(ingress.chart.values, given);
  if (traefik === undefined) return merge(ingress.values, given);
  const { host, path } = parseRepository(traefik.repository);
  const tag = traefik.digest === '' ? traefik.tag : `${traefik.tag}@${traefik.digest}`;
  return merge({ image: { registry: host, repository: path, tag } }, merge(ingress.values, given));
}

function upgradeWords(settings: Settings): readonly string[] {
  const { chart, repository, version } = settings.ingress.chart;
  return [
    ...['upgrade', '--install', releaseName, chart],
    ...(repository ? ['--repo', repository] : []),
    ...(version ? ['--version', version] : []),
    ...['--set-json', JSON.stringify(valuesOf(settings)), '--wait', '--timeout', `${timeoutSeconds}s`],
  ];
}

/** The plain commands of `ensureController`. */
export function controllerCommands({ environment, settings }: Target): readonly string[] {
  const controller = controllerOf(settings);
  const known = `${kubectlText(environment)} get ingressclass`;
  if (controller === undefined) return [];
  if (settings.ingress.controller !== 'traefik') return [known];
  const { namespace } = controller;
  return [
    known,
    `# unless there is an IngressClass of ${controller.class}:`,
    `echo '${JSON.stringify(namespaceManifest(environment, namespace))}' | ${kubectlText(environment)} apply --server-side --force-conflicts -f -`,
    exportHomes(environment, ...helmHomes),
    `${helmText(environment)} --namespace ${namespace} ${shellWords([...upgradeWords(settings), ...takeBack])}`,
  ];
}

/**
 * Installs Traefik into a cluster with real pods and without an IngressClass for it; upgrades a Traefik that was
 * installed this way. Leaves other controllers alone. Throws `TaskError` with the problems of Traefik's pods.
 */
export async function ensureController(context: Context): Promise<Outcome> {
  const { settings } = context;
  const outcome = await installIfMissing(context);
  if (settings.ingress.kind === 'httproute') await checkGatewayTypes(context);
  return outcome;
}

/** Throws `TaskError` if the API server does not know HTTPRoute, which the fronts use. */
async function checkGatewayTypes(context: EnvironmentContext): Promise<void> {
  const { environment } = context;
  const $ = context.$({ quiet: true });
  const found = await $`${kubectl(environment)} get crd ${routeType} --ignore-not-found -o name`;
  if (found.stdout.trim() !== '') return;
  throw new TaskError({
    what: 'the cluster has no HTTPRoute',
    why: `ingress.kind is httproute, and the type ${routeType} is not installed`,
    advice:
      'install the types of the Gateway API (standard channel of its release), or set ingress.kind: ingress',
  });
}

async function installIfMissing(context: Context): Promise<Outcome> {
  const { environment, settings } = context;
  const controller = controllerOf(settings);
  if (controller === undefined) return 'unchanged';
  const { namespace } = controller;
  const classes = await classesOf(context, controller.class);
  const record = await readRecord(context);
  checkPlace(context, record);
  if (settings.ingress.controller !== 'traefik' || (classes.length > 0 && record === undefined)) {
    const { controller: wanted } = settings.ingress;
    context.log(
      classes.length > 0
        ? `the cluster has an ingress controller (IngressClass ${classes.join(', ')}), which is not changed`
        : `no IngressClass of ${controller.class}: install ${wanted}, or set ingress.controller`,
    );
    const used = valueAt(settings.releases, ['frontend', 'ingress', 'className']) || wanted;
    if (settings.ingress.kind === 'ingress' && classes.length > 0 && !classes.includes(String(used)))
      context.log(
        `the fronts use the IngressClass ${used}, which it does not serve: set releases.frontend.ingress.className to ${classes[0]}`,
      );
    return 'unchanged';
  }
  const digest = await chartDigest(environment.root, settings);
  if (record?.digest === digest && classes.length > 0) return 'unchanged';
  const started = record ?? (await firstRecord(context, namespace));
  const release = {
    id: `${namespace}/${releaseName}`,
    name: releaseName,
    namespace,
    timeout: timeoutSeconds,
  };
  const deployed = await deployedReleases(context);
  await refuseBusy(context, [release], deployed);
  await writeRecord(context, { ...started, digest: '' });
  await repairReleases({ ...context, $: context.$({ quiet: true }) }, [release], deployed);
  context.log(`installing the ingress controller traefik into namespace ${namespace}`);
  await upgrade(context, namespace);
  await writeRecord(context, { ...started, digest });
  return 'changed';
}

/** Installs or upgrades the release. Throws `TaskError` with its pods' problems or helm's message. */
async function upgrade(context: Context, namespace: string): Promise<void> {
  const { environment, settings } = context;
  const $ = context.$({ quiet: true, nothrow: true });
  const namespaces = new Set([namespace]);
  const diagnosis = await watchCluster(context, namespaces);
  try {
    const helm = helmCommand(environment, namespace);
    const running = $`${helm} ${upgradeWords(settings)} ${await takeBackOptions()}`;
    const output = await tellWaiting(context, `installing ${releaseName}`, running, diagnosis);
    if (output.exitCode === 0) return;
    const seen = diagnosis.findings();
    // The watch sees no pods that have not changed since an earlier failed run.
    const pods = seen.length > 0 ? [] : await readPods(context, namespaces).catch(() => []);
    const lines = shownLinesOf([...seen, ...unreadyOf(pods)]);
    if (lines.length === 0) throw notInstalled(settings, reasonOf(output));
    throw new TaskError({
      what: `the ingress controller ${releaseName} does not start`,
      why: lines.join('\n'),
      advice: `fix it and run again; ${detailsIn(await diagnosis.save(releaseName))}`,
    });
  } finally {
    await diagnosis.stop();
  }
}

function notInstalled({ ingress }: Settings, why: string): TaskError {
  const { repository } = ingress.chart;
  const local = '{ chart: ./charts/traefik, repository: "", version: "", values: {} }';
  return new TaskError({
    what: `the ingress controller ${releaseName} could not be installed`,
    why,
    advice: repository
      ? `check that ${repository} can be reached, or set ingress.chart to ${local}`
      : 'fix it and run again; ingress.controller: none turns routes off',
  });
}

/** Names of a controller's IngressClasses. */
async function classesOf(context: EnvironmentContext, controller: string): Promise<readonly string[]> {
  type Class = Named & { readonly spec?: { readonly controller?: string } };
  const classes = await kubectlList<Class>(context, 'get', 'ingressclass');
  return classes.filter(({ spec }) => spec?.controller === controller).map(({ metadata }) => metadata.name);
}

async function firstRecord(context: EnvironmentContext, namespace: string): Promise<ControllerRecord> {
  const types = await kubectlList<Named>(context, 'get', 'crd');
  const namespaces = await kubectlList<Named>(context, 'get', 'namespaces');
  return {
    namespace,
    // Labelled by an interrupted run.
    ownNamespace: namespaces.every(
      ({ metadata: { name, labels } }) =>
        name !== namespace || labels?.[ownerLabel] === context.environment.name,
    ),
    typesBefore: types.map(({ metadata }) => metadata.name),
    digest: '',
  };
}

/** Digest of the chart and its values, for a local chart including its files. */
async function chartDigest(root: string, settings: Settings): Promise<string> {
  const { chart, repository } = settings.ingress.chart;
  const files = repository ? [] : await filesBelow(root, chart).catch(() => []);
  return fileDigest(root, files, JSON.stringify(upgradeWords(settings)));
}
