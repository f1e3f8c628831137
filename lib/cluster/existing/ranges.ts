import { TaskError } from '@k8s-deployment/runner';
import { isTree, valueAt } from '../../ground/tree.ts';
import { isAllowed } from '../../ingress/routes.ts';
import { kubectlList, kubectlText, labelSelector } from '../../kubernetes/kubectl.ts';
import type { Context, Settings, Target } from '../../settings/context.ts';

/* Compares the addresses of a cluster with the ranges that the network policies of the release devops open. */

type Range = { readonly cidr: string; readonly except?: readonly string[] };

/** What pods reach, by the setting that opens it; `rule` is its key in releases.devops.outside. */
const kinds = {
  apiServerCidrs: { what: 'the API server', rule: 'api-server' },
  nodeCidrs: { what: 'the kubelets', rule: 'kubelets' },
  dnsCidrs: { what: 'the name servers', rule: '' },
};

type Setting = keyof typeof kinds;

type Service = { spec: { clusterIP: string } };
type Slice = { endpoints?: { addresses: string[] }[] | null; ports?: { port?: number }[] | null };
type Node = { status: { addresses?: { type: string; address: string }[] } };
type Pod = { spec: { hostNetwork?: boolean }; status: { podIP?: string } };
type DaemonSet = {
  metadata: { name: string };
  spec: { template: { spec: { hostNetwork?: boolean; containers: { args?: string[] }[] } } };
};

const slicesOf = (namespace: string, service: string): readonly string[] => [
  ...['-n', namespace, 'get', 'endpointslices', '-l', `kubernetes.io/service-name=${service}`],
];
const service = ['-n', 'default', 'get', 'service', 'kubernetes'];
const slices = slicesOf('default', 'kubernetes');
const nodes = ['get', 'nodes'];
const dnsSlices = slicesOf('kube-system', 'kube-dns');
const caches = ['-n', 'kube-system', 'get', 'daemonsets'];

/** The pods that the chart devops takes for the cluster's DNS. */
function dnsPods({ releases }: Settings): readonly string[] {
  const {
    namespace = 'kube-system',
    podLabels = { 'k8s-app': 'kube-dns' },
  }: { readonly namespace?: string; readonly podLabels?: object } = releases.devops?.dns ?? {};
  return ['-n', namespace, 'get', 'pods', '-l', labelSelector(podLabels)];
}

/** The plain commands of `checkRanges`. */
export const rangeChecks = ({ environment, settings }: Target): string[] =>
  [service, slices, nodes, dnsSlices, dnsPods(settings), caches].map(
    (words) => `${kubectlText(environment)} ${words.join(' ')} -o wide`,
  );

/**
 * Throws `TaskError` if the policies would cut the pods off the API server, the name servers or, with `ourMetrics`, the
 * kubelets, which the release metrics-server calls.
 */
export async function checkRanges(context: Context, ourMetrics: boolean): Promise<void> {
  const { environment, settings } = context;
  const behind = await kubectlList<Slice>(context, ...slices);
  checkApiPorts(context, behind);
  const services = await kubectlList<Service>(context, ...service);
  const wanted: { readonly [setting in Setting]: readonly string[] } = {
    apiServerCidrs: [...services.map(({ spec }) => spec.clusterIP), ...addressesBehind(behind)],
    nodeCidrs: ourMetrics ? await kubelets(context) : [],
    dnsCidrs: await nameServers(context),
  };
  for (const setting of Object.keys(kinds) as Setting[]) {
    const open = openRanges(settings, setting);
    const isOpen = (address: string): boolean =>
      open.some(({ cidr, except = [] }) => isAllowed(address, [cidr]) && !isAllowed(address, except));
    const closed = [...new Set(wanted[setting])].filter((address) => !isOpen(address));
    const [first] = closed;
    if (first === undefined) continue;
    const now = settings.cluster[setting].join(', ');
    throw new TaskError({
      what: `network policies would not let pods reach ${kinds[setting].what}: ${closed.join(', ')}`,
      why: now
        ? `cluster.${setting} has only ${now}`
        : `cluster.${setting} is empty${setting === 'dnsCidrs' ? '' : `, so everything is open except cluster.podCidr (${settings.cluster.podCidr}) and link-local addresses`}`,
      advice: `add them to cluster.${setting} in environments/${environment.name}/, as ranges such as ${first}/${first.includes(':') ? 128 : 32}${setting === 'dnsCidrs' ? ', or name their pods in releases.devops.dns' : ''}`,
    });
  }
}

/** The ranges that devops opens, as environments/values.yaml.gotmpl gives them to its chart. */
function openRanges({ cluster, releases }: Settings, setting: Setting): readonly Range[] {
  const own = valueAt(releases, ['devops', 'outside', kinds[setting].rule, 'ranges']);
  if (Array.isArray(own)) return own.filter(isTree) as unknown as Range[];
  const cidrs = cluster[setting].map((cidr) => ({ cidr }));
  if (cidrs.length > 0 || setting === 'dnsCidrs') return cidrs;
  return cluster.podCidr.includes(':')
    ? [{ cidr: '::/0', except: [cluster.podCidr] }]
    : [{ cidr: '0.0.0.0/0', except: [cluster.podCidr, '169.254.0.0/16'] }];
}

/** Throws `TaskError` if the API server listens on a port that the policies do not open. */
function checkApiPorts({ environment, settings }: Target, behind: readonly Slice[]): void {
  const setting = ['devops', 'outside', 'api-server', 'ports'];
  const own = valueAt(settings.releases, setting);
  // The default of charts/devops.
  const open: readonly unknown[] = Array.isArray(own) ? own : [443, 6443, 8443];
  const ports = behind.flatMap((slice) => slice.ports ?? []).flatMap(({ port }) => port ?? []);
  const closed = ports.find((port) => !open.includes(port));
  if (closed === undefined) return;
  throw new TaskError({
    what: `network policies would not let pods reach the API server on port ${closed}`,
    why: `they open only ${open.join(', ')}`,
    advice: `set releases.${setting.join('.')} in environments/${environment.name}/ to a list with ${closed} and 443`,
  });
}

const addressesBehind = (slices: readonly Slice[]): string[] =>
  slices.flatMap(({ endpoints }) => endpoints ?? []).flatMap(({ addresses }) => addresses);

async function kubelets(context: Context): Promise<readonly string[]> {
  const found = await kubectlList<Node>(context, ...nodes);
  return found.flatMap(
    ({ status }) => status.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? [],
  );
}

/** The addresses of name servers that policies do not know as pods, such as those in the network of their nodes. */
async function nameServers(context: Context): Promise<readonly string[]> {
  const pods = await kubectlList<Pod>(context, ...dnsPods(context.settings));
  const known = pods.flatMap(({ spec, status }) => (spec.hostNetwork ? [] : status.podIP));
  const behind = addressesBehind(await kubectlList<Slice>(context, ...dnsSlices));
  const others = behind.filter((address) => !known.includes(address));
  return [...others, ...(await localCaches(context))];
}

/** The addresses on which NodeLocal DNS answers in the network of each node. */
async function localCaches(context: Context): Promise<string[]> {
  const found = await kubectlList<DaemonSet>(context, ...caches);
  const cache = found.find(({ metadata }) => metadata.name === 'node-local-dns')?.spec.template.spec;
  if (!cache?.hostNetwork) return [];
  const words = cache.containers.flatMap(({ args = [] }) => args.flatMap((word) => word.split('=')));
  const local = words[words.findIndex((word) => /^--?localip$/.test(word)) + 1] ?? '';
  return local.split(',').filter((address) => /^[\d.]+$|:/.test(address));
}
