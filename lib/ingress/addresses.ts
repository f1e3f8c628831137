import { isIP } from 'node:net';
import { TaskError } from '@k8s-deployment/runner';
import { kubectlList, kubectlText } from '../kubernetes/kubectl.ts';
import type { Context, Settings, Target } from '../settings/context.ts';
import { controllerOf } from './controllers.ts';
import { findWay } from './entrance.ts';
import { type HttpRoute, type Ingress, placesOf, publishedAddress, redirectPort } from './routes.ts';

export type Address = {
  readonly name: string;
  readonly address: string;
  /** How to open it if the address alone does not suffice. */
  readonly note?: string;
};

/** One line per address, after its name. */
export function formatAddresses(addresses: readonly Address[]): string {
  const width = Math.max(0, ...addresses.map(({ name }) => name.length));
  return addresses.map(({ name, address }) => `${name.padEnd(width)}  ${address}`).join('\n');
}

/** The notes without duplicates. */
export const notesOf = (addresses: readonly Address[]): readonly string[] => [
  ...new Set(addresses.flatMap(({ note }) => note ?? [])),
];

/** Namespace of our fronts; routes elsewhere may have another controller. */
const ownNamespace = 'frontend';

/** The plain commands of `routeAddresses`, for `--dry-run`. */
export function routeCommands({ environment, settings }: Target): readonly string[] {
  const kubectl = kubectlText(environment);
  const controller = controllerOf(settings);
  return [
    `${kubectl} get ${routeKind(settings)} --all-namespaces`,
    ...(controller
      ? [
          `${kubectl} -n ${controller.namespace} get services,pods -l app.kubernetes.io/name=${controller.label}`,
        ]
      : []),
  ];
}

const routeKind = ({ ingress }: Pick<Settings, 'ingress'>): string =>
  ingress.kind === 'httproute' ? 'httproutes' : 'ingresses';

/** URLs of all routes in the cluster; those of our fronts have a port, and a note on how to open them. */
export async function routeAddresses(context: Context): Promise<readonly Address[]> {
  const { settings } = context;
  const items = await kubectlList<Ingress | HttpRoute>(context, 'get', routeKind(settings), '-A');
  const places = items.flatMap((item) => placesOf(item).map(({ host, path }) => ({ item, host, path })));
  const own = places.filter(({ item }) => item.metadata.namespace === ownNamespace);
  const way: WayIn = own.length === 0 ? {} : await wayIn(context, own);
  return places.map(({ item, host, path }) => {
    const { namespace, name } = item.metadata;
    const tls = item.kind === 'Ingress' ? item.spec.tls !== undefined : settings.ingress.tls.enabled;
    const { port, ...note }: WayIn = namespace === ownNamespace ? way : {};
    const shown = port === undefined || port === (tls ? 443 : 80) ? '' : `:${port}`;
    return {
      name: `${namespace}/${name}`,
      address: `${tls ? 'https' : 'http'}://${host}${shown}${path}`,
      ...note,
    };
  });
}

type WayIn = { readonly port?: number | undefined; readonly note?: string };

/** The port in our fronts' URLs, and a note on how to open them. */
async function wayIn(
  context: Context,
  places: readonly { readonly item: Ingress | HttpRoute; readonly host: string }[],
): Promise<WayIn> {
  const { environment, settings } = context;
  const { enabled: tls } = settings.ingress.tls;
  const hosts = [...new Set(places.map(({ host }) => host))].join(' ');
  const hostsLine = (address: string): string => `add to /etc/hosts: ${address} ${hosts}`;
  const fixed = redirectPort(settings);
  const [published] = places.flatMap(({ item }) =>
    item.kind === 'Ingress' ? (publishedAddress(item) ?? []) : [],
  );
  const way = await findWay(context, published).catch((error: unknown) => {
    if (error instanceof TaskError) return error;
    throw error;
  });
  if (way instanceof TaskError) return { port: fixed, note: `${way.what}: ${way.why}` };
  if (way.kind === 'direct') {
    const { address, http, https } = way.entrance;
    const port = tls ? https : http;
    const byHand = isIP(address) === 0 ? '' : `; without DNS, ${hostsLine(address)}`;
    return { port: fixed ?? port, note: `served at ${address}:${port}${byHand}` };
  }
  const { namespace, service, why } = way;
  const port = fixed ?? (tls ? 8443 : 8080);
  const asRoot = port < 1024 ? ' (as root)' : '';
  const kubectl = `${kubectlText(environment)} -n ${namespace}`;
  const command = `${kubectl} port-forward svc/${service} ${port}:${tls ? 443 : 80}`;
  const steps = `forward a port${asRoot}: ${command}; and ${hostsLine('127.0.0.1')}`;
  return { port, note: `the ingress controller ${why}; ${steps}` };
}
