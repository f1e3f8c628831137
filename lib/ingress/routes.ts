import { BlockList, isIP, isIPv6 } from 'node:net';
import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';
import { kubectlList, type Named } from '../kubernetes/kubectl.ts';
import type { Context, Settings } from '../settings/context.ts';

export type Route = { readonly path: string; readonly ranges: readonly string[] };

/** An application's routes at the ingress controller. */
export type Site = {
  readonly host: string;
  /** Longest path first, since the first match wins. */
  readonly routes: readonly Route[];
  /** Address in the Ingress's status. */
  readonly published: string | undefined;
};

type Middleware = Named & {
  readonly kind: 'Middleware';
  readonly spec: { readonly ipAllowList?: { readonly sourceRange?: readonly string[] } };
};

/** A status with the addresses of a load balancer. */
export type Balanced = {
  readonly status?: {
    readonly loadBalancer?: {
      readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[];
    };
  };
};

export type Ingress = Balanced &
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

export type HttpRoute = Named & {
  readonly kind: 'HTTPRoute';
  readonly spec: {
    readonly hostnames?: readonly string[];
    readonly rules?: readonly {
      readonly matches?: readonly { readonly path?: { readonly value: string } }[];
      readonly filters?: readonly { readonly extensionRef?: { readonly name: string } }[];
    }[];
  };
};

type RouteObject = Ingress | Middleware | HttpRoute;

const nginxRanges = 'nginx.ingress.kubernetes.io/whitelist-source-range';

/** The routes of an application in the cluster. Throws `TaskError` if there are none. */
export async function readSite(context: Context, app: string): Promise<Site> {
  const { controller, kind } = context.settings.ingress;
  const kinds = [
    kind === 'httproute' ? 'httproutes.gateway.networking.k8s.io' : 'ingresses.networking.k8s.io',
    ...(controller === 'traefik' ? ['middlewares.traefik.io'] : []),
  ];
  const labelled = ['-l', `app.kubernetes.io/instance=${app}-front`];
  const items = await kubectlList<RouteObject>(
    context,
    '-n',
    'frontend',
    'get',
    kinds.join(','),
    ...labelled,
  );
  const site = siteOf(items);
  if (site) return site;
  throw new TaskError({
    what: `${app} has no route`,
    why: 'it is not installed, or ingress.controller is `none`',
    advice: `run ${taskCommand(`install-app ${app}`)}`,
  });
}

/** A path of a host. */
export type Place = {
  readonly host: string;
  readonly path: string;
  /** Name of Traefik's middleware with the source ranges. */
  readonly middleware: string | undefined;
};

/** Without a host, a route is that of all hosts: `*`. */
export function placesOf(item: Ingress | HttpRoute): readonly Place[] {
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

/** The routes in these objects; undefined if there are none. */
export function siteOf(items: readonly RouteObject[]): Site | undefined {
  const ranges = new Map(
    items.flatMap((item) =>
      item.kind === 'Middleware' ? [[item.metadata.name, item.spec.ipAllowList?.sourceRange ?? []]] : [],
    ),
  );
  const routes = items.flatMap((item) => {
    if (item.kind === 'Middleware') return [];
    const listed = item.metadata.annotations?.[nginxRanges]?.split(',').map((range) => range.trim());
    return placesOf(item).flatMap(({ host, path, middleware }) =>
      // The rule that redirects to HTTPS has no ranges.
      middleware === undefined ? [] : [{ host, path, ranges: listed ?? ranges.get(middleware) ?? [] }],
    );
  });
  const [first] = routes;
  if (!first) return undefined;
  routes.sort((one, other) => other.path.length - one.path.length);
  const [published] = items.flatMap((item) =>
    item.kind === 'Ingress' ? (publishedAddress(item) ?? []) : [],
  );
  return { host: first.host, routes, published };
}

/** The port to which Traefik redirects, even from HTTPS with another port in `Host`. */
export const redirectPort = ({ ingress }: Pick<Settings, 'ingress'>): number | undefined =>
  ingress.tls.enabled && ingress.controller === 'traefik' ? ingress.tls.port : undefined;

/** The address in an Ingress's or Service's status. */
export function publishedAddress({ status }: Balanced): string | undefined {
  const [balancer] = status?.loadBalancer?.ingress ?? [];
  return balancer?.ip ?? balancer?.hostname;
}

/** The route for a path, with or without a query. */
export function routeOf(site: Site, path: string): Route | undefined {
  const plain = path.split(/[?#]/)[0] ?? '';
  const below = (prefix: string) => plain === prefix || plain.startsWith(prefix.replace(/\/?$/, '/'));
  return site.routes.find((route) => below(route.path));
}

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
