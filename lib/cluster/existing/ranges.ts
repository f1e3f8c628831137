import { TaskError } from '@k8s-deployment/runner';
import { isTree, valueAt } from '../../ground/tree.ts';
import { isAllowed } from '../../ingress/routes.ts';
import { kubectlList, kubectlText } from '../../kubernetes/kubectl.ts';
import type { Context, InEnvironment } from '../../settings/context.ts';
import type { Settings } from '../../settings/settings.ts';

/* Compares the addresses of a cluster with the ranges that the network policies of the release devops open. */

type Range = { readonly cidr: string; readonly except?: readonly string[] };

/** An address that must be open, and the setting that opens it. */
type Wanted = { readonly what: string; readonly address: string; readonly setting: Setting };
type Setting = 'apiServerCidrs' | 'nodeCidrs' | 'dnsCidrs';

type Service = { readonly spec: { readonly clusterIP: string } };
type Slice = {
  readonly endpoints?: readonly { readonly addresses: readonly string[] }[] | null;
  readonly ports?: readonly { readonly port?: number }[] | null;
};
type Node = {
  readonly metadata: { readonly name: string };
  readonly status: { readonly addresses?: readonly { readonly type: string; readonly address: string }[] };
};
type DaemonSet = {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly hostNetwork?: boolean;
        readonly containers: readonly { readonly args?: readonly string[] }[];
      };
    };
  };
};

const service = ['-n', 'default', 'get', 'service', 'kubernetes'];
const slices = ['-n', 'default', 'get', 'endpointslices', '-l', 'kubernetes.io/service-name=kubernetes'];
const nodes = ['get', 'nodes'];
const caches = ['-n', 'kube-system', 'get', 'daemonsets'];

/** The plain commands of `checkRanges`. */
export const rangeChecks = ({ environment }: InEnvironment): string[] =>
  [service, slices, nodes, caches].map((words) => `${kubectlText(environment)} ${words.join(' ')} -o wide`);

/**
 * Throws `TaskError` if the policies would cut the pods off the API server, the name servers or, with `ourMetrics`, the
 * kubelets, which the release metrics-server calls.
 */
export async function checkRanges(context: Context, ourMetrics: boolean): Promise<void> {
  const { environment, settings } = context;
  const wanted = [
    ...(await apiServer(context)),
    ...(ourMetrics ? await kubelets(context) : []),
    ...(await nameServers(context)),
  ];
  const closed = wanted.filter(
    ({ address, setting }) =>
      !openRanges(settings, setting).some(
        ({ cidr, except = [] }) => isAllowed(address, [cidr]) && !isAllowed(address, except),
      ),
  );
  const [first] = closed;
  if (first === undefined) return;
  const { setting } = first;
  const same = closed.filter((other) => other.setting === setting);
  const now = settings.cluster[setting].join(', ');
  throw new TaskError({
    what: `network policies would not let pods reach ${first.what}: ${same.map(({ address }) => address).join(', ')}`,
    why: now
      ? `cluster.${setting} has only ${now}`
      : `cluster.${setting} is empty${setting === 'dnsCidrs' ? '' : `, so everything is open except cluster.podCidr (${settings.cluster.podCidr}) and link-local addresses`}`,
    advice: `add them to cluster.${setting} in environments/${environment.name}/, as ranges such as ${first.address}/${first.address.includes(':') ? 128 : 32}`,
  });
}

/** The ranges that devops opens, as environments/values.yaml.gotmpl gives them to its chart. */
function openRanges({ cluster, releases }: Settings, setting: Setting): readonly Range[] {
  const name = { apiServerCidrs: 'api-server', nodeCidrs: 'kubelets', dnsCidrs: '' }[setting];
  const own = valueAt(releases, ['devops', 'outside', name, 'ranges']);
  if (Array.isArray(own)) return own.filter(isTree) as unknown as Range[];
  const cidrs = cluster[setting].map((cidr) => ({ cidr }));
  if (cidrs.length > 0 || setting === 'dnsCidrs') return cidrs;
  return cluster.podCidr.includes(':')
    ? [{ cidr: '::/0', except: [cluster.podCidr] }]
    : [{ cidr: '0.0.0.0/0', except: [cluster.podCidr, '169.254.0.0/16'] }];
}

async function apiServer(context: Context): Promise<Wanted[]> {
  const [found] = await kubectlList<Service>(context, ...service);
  const behind = (await kubectlList<Slice>(context, ...slices)).flatMap(({ endpoints }) => endpoints ?? []);
  const addresses = [found?.spec.clusterIP ?? [], ...behind.map(({ addresses }) => addresses)].flat();
  return [...new Set(addresses)].map((address) => ({
    what: 'the API server',
    address,
    setting: 'apiServerCidrs',
  }));
}

async function kubelets(context: Context): Promise<Wanted[]> {
  const found = await kubectlList<Node>(context, ...nodes);
  return found.flatMap(({ status }) => {
    const address = status.addresses?.find(({ type }) => type === 'InternalIP')?.address;
    return address === undefined ? [] : [{ what: 'the kubelets', address, setting: 'nodeCidrs' }];
  });
}

/** The addresses on which caches in the network of their nodes answer; other name servers are known as pods. */
async function nameServers(context: Context): Promise<Wanted[]> {
  const found = await kubectlList<DaemonSet>(context, ...caches);
  const cache = found.find(({ metadata }) => metadata.name === 'node-local-dns')?.spec.template.spec;
  if (!cache?.hostNetwork) return [];
  const words = cache.containers.flatMap(({ args = [] }) => args.flatMap((word) => word.split('=')));
  const local = words[words.findIndex((word) => /^--?localip$/.test(word)) + 1] ?? '';
  return local
    .split(',')
    .flatMap((address) =>
      /^[\d.]+$|:/.test(address)
        ? [{ what: 'the name servers of NodeLocal DNS', address, setting: 'dnsCidrs' as const }]
        : [],
    );
}
