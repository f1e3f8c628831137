import { BlockList, isIP, isIPv6 } from 'node:net';
import { TaskError } from '@k8s-deployment/runner';
import { kubectlList, kubectlText, type Named } from '../kubernetes/kubectl.ts';
import type { Context, Settings, Target } from '../settings/context.ts';
import { controllerOf } from './controllers.ts';
import { type Balanced, findWay, publishedAddress } from './entrance.ts';

type Ingress = Balanced &
  Named & {
    readonly kind: 'Ingress';
    readonly spec: {
      readonly tls?: readonly unknown[];
      readonly rules?: readonly {
        readonly host?: string;
        readonly http?: { readonly paths: readonly { readonly path?: string }[] };
      }[];
    };
  };

type HttpRoute = Named & {
  readonly kind: 'HTTPRoute';
  readonly spec: {
    readonly hostnames?: readonly string[];
    readonly rules?: readonly {
      readonly matches?: readonly { readonly path?: { readonly value: string } }[];
      readonly filters?: readonly { readonly extensionRef?: { readonly name: string } }[];
    }[];
  };
};

/** What has a host and paths. */
export type RouteObject = Ingress | HttpRoute;

/** The first address in the status of an Ingress. */
export const publishedIn = (items: readonly (RouteObject | { readonly kind: 'Middleware' })[]) =>
  items.flatMap((item) => (item.kind === 'Ingress' ? (publishedAddress(item) ?? []) : [])).at(0);

/** A path of a host. */
type Place = {
  readonly host: string;
  readonly path: string;
  /** Name of Traefik's middleware with the source ranges. */
  readonly middleware: string | undefined;
};

/** Without a host, a route is that of all hosts: `*`. */
export function placesOf(item: RouteObject): readonly Place[] {
  if (item.kind === 'Ingress') {
    const middleware = item.metadata.name;
    return (item.spec.rules ?? []).flatMap(({ host = '*', http }) =>
      (http?.paths ?? []).map(({ path = '/' }) => ({ host, path, middleware })),
    );
  }
  return (item.spec.rules ?? []).flatMap(({ matches = [], filters }) => {
    const middleware = filters?.find(({ extensionRef }) => extensionRef)?.extensionRef?.name;
    return (item.spec.hostnames ?? ['*']).flatMap((host) =>
      matches.map(({ path }) => ({ host, path: path?.value ?? '/', middleware })),
    );
  });
}

/** The port to which Traefik redirects, even from HTTPS with another port in `Host`. */
export const redirectPort = ({ ingress }: Pick<Settings, 'ingress'>): number | undefined =>
  ingress.tls.enabled && ingress.controller === 'traefik' ? ingress.tls.port : undefined;

/** True if an address is in one of the ranges. */
export function isAllowed(address: string, ranges: readonly string[]): boolean {
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '');
  if (isIP(plain) === 0) return false;
  const list = new BlockList();
  for (const range of ranges) {
    const [network = '', bits] = range.split('/');
    list.addSubnet(network, Number(bits ?? (isIPv6(network) ? 128 : 32)), isIPv6(network) ? 'ipv6' : 'ipv4');
  }
  return list.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4');
}

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
  const items = await kubectlList<RouteObject>(context, 'get', routeKind(settings), '-A');
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
  places: readonly { readonly item: RouteObject; readonly host: string }[],
): Promise<WayIn> {
  const { environment, settings } = context;
  const { enabled: tls } = settings.ingress.tls;
  const hosts = [...new Set(places.map(({ host }) => host))].join(' ');
  const hostsLine = (address: string): string => `add to /etc/hosts: ${address} ${hosts}`;
  const fixed = redirectPort(settings);
  const published = publishedIn(places.map(({ item }) => item));
  const way = await findWay(context, published).catch((error: unknown) => {
    if (error instanceof TaskError) return error;
    throw error;
  });
  if (way instanceof TaskError) return { port: fixed, note: `${way.what}: ${way.why}` };
  if ('entrance' in way) {
    const { address, http, https } = way.entrance;
    const port = tls ? https : http;
    const byHand = isIP(address) === 0 ? '' : `; without DNS, ${hostsLine(address)}`;
    return { port: fixed ?? port, note: `served at ${address}:${port}${byHand}` };
  }
  const { forward, why } = way;
  const port = fixed ?? (tls ? 8443 : 8080);
  const asRoot = port < 1024 ? ' (as root)' : '';
  const kubectl = `${kubectlText(environment)} -n ${forward.namespace}`;
  const command = `${kubectl} port-forward ${forward.resource} ${port}:${tls ? 443 : 80}`;
  const steps = `forward a port${asRoot}: ${command}; and ${hostsLine('127.0.0.1')}`;
  return { port, note: `the ingress controller ${why}; ${steps}` };
}
