import { isIP } from 'node:net';
import { TaskError } from '@k8s-deployment/runner';
import { kubectlList, kubectlText } from '../kubernetes/kubectl.ts';
import type { Context, Target } from '../settings/context.ts';
import type { Settings } from '../settings/settings.ts';
import { controllerOf } from './controllers.ts';
import { findWay, type Way, whyForward } from './entrance.ts';
import { type HttpRoute, type Ingress, publishedAddress, redirectPort } from './routes.ts';

export type Address = {
  readonly name: string;
  readonly address: string;
  /** How to open it, if the address alone is not enough. */
  readonly note?: string;
};

/** One address a line, behind its name. */
export function formatAddresses(addresses: readonly Address[]): string {
  const width = Math.max(0, ...addresses.map(({ name }) => name.length));
  return addresses.map(({ name, address }) => `${name.padEnd(width)}  ${address}`).join('\n');
}

/** Each note once. */
export const notesOf = (addresses: readonly Address[]): readonly string[] => [
  ...new Set(addresses.flatMap(({ note }) => note ?? [])),
];

/** One path of one host, without a port. */
type Place = {
  readonly namespace: string;
  readonly name: string;
  readonly tls: boolean;
  readonly host: string;
  readonly path: string;
};

/** The namespace of our fronts; other routes may have another controller. */
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

/** The URLs of all routes in the cluster; those of our fronts with their port and a note on how to open them. */
export async function routeAddresses(context: Context): Promise<readonly Address[]> {
  const { settings } = context;
  const words = ['get', routeKind(settings), '-A'];
  const { items } = await kubectlList<{ items: readonly (Ingress | HttpRoute)[] }>(context, ...words);
  const places = items.flatMap((item) => placesOf(item, settings));
  const own = places.filter(({ namespace }) => namespace === ownNamespace);
  if (own.length === 0) return places.map((place) => ({ name: nameOf(place), address: urlOf(place) }));
  const [published] = items.flatMap((item) =>
    item.kind === 'Ingress' && item.metadata.namespace === ownNamespace ? (publishedAddress(item) ?? []) : [],
  );
  const site = { tls: settings.ingress.tls.enabled, published };
  const way = await findWay(context, site).catch((error: unknown) => {
    if (error instanceof TaskError) return error;
    throw error;
  });
  const { port, note } = wayIn(context, way, [...new Set(own.map(({ host }) => host))]);
  return places.map((place) =>
    own.includes(place)
      ? { name: nameOf(place), address: urlOf(place, port), note }
      : { name: nameOf(place), address: urlOf(place) },
  );
}

const nameOf = ({ namespace, name }: Place): string => `${namespace}/${name}`;

function urlOf({ tls, host, path }: Place, port?: number): string {
  const shown = port === undefined || port === (tls ? 443 : 80) ? '' : `:${port}`;
  return `${tls ? 'https' : 'http'}://${host}${shown}${path}`;
}

function placesOf(item: Ingress | HttpRoute, { ingress }: Settings): readonly Place[] {
  const { namespace = '', name } = item.metadata;
  if (item.kind === 'Ingress') {
    const { tls, rules = [] } = item.spec;
    return rules.flatMap(({ host = '', http }) =>
      (http?.paths ?? []).map(({ path = '/' }) => ({ namespace, name, tls: tls !== undefined, host, path })),
    );
  }
  const { hostnames: [host = ''] = [], rules = [] } = item.spec;
  const { enabled: tls } = ingress.tls;
  return rules.flatMap(({ matches = [] }) =>
    matches.map(({ path }) => ({ namespace, name, tls, host, path: path?.value ?? '/' })),
  );
}

/** The port in the URLs of our fronts, and a note on how to open them. */
function wayIn(
  { environment, settings }: Target,
  way: Way | TaskError,
  hosts: readonly string[],
): { readonly port: number | undefined; readonly note: string } {
  const { enabled: tls } = settings.ingress.tls;
  const fixed = redirectPort(settings);
  const hostsLine = (address: string): string => `add to /etc/hosts: ${address} ${hosts.join(' ')}`;
  if (way instanceof TaskError) return { port: fixed, note: `${way.what}: ${way.why}` };
  if (way.kind === 'direct') {
    const { address, http, https } = way.entrance;
    const port = tls ? https : http;
    const byHand = isIP(address) === 0 ? '' : `; without DNS, ${hostsLine(address)}`;
    return { port: fixed ?? port, note: `served at ${address}:${port}${byHand}` };
  }
  const { namespace, service, tried } = way;
  const port = fixed ?? (tls ? 8443 : 8080);
  const asRoot = port < 1024 ? ' (as root)' : '';
  const kubectl = `${kubectlText(environment)} -n ${namespace}`;
  const command = `${kubectl} port-forward svc/${service} ${port}:${tls ? 443 : 80}`;
  const steps = `forward a port${asRoot}: ${command}; and ${hostsLine('127.0.0.1')}`;
  return { port, note: `the ingress controller ${whyForward(tried)}; ${steps}` };
}
