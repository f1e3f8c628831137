import { TaskError } from '@k8s-deployment/runner';
import { certificateFiles } from '../certificates/files.ts';
import { providerOf } from '../cluster/providers.ts';
import { textIfThere } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import { shellWord } from '../ground/shell-words.ts';
import { kubectlList, kubectlText, type Named } from '../kubernetes/kubectl.ts';
import type { Context, Settings, Target } from '../settings/context.ts';
import { type Answer, call } from './call.ts';
import { ownCertificates } from './certificates.ts';
import { controllerOf } from './controllers.ts';
import { type Entrance, withEntrance } from './entrance.ts';
import { isAllowed, placesOf, publishedIn, type RouteObject, redirectPort } from './routes.ts';

/** What to test: a path, or by default all routes. */
export type Wanted = {
  readonly app: string;
  readonly path?: string | undefined;
  /** Expected status; by default it follows from the source ranges. */
  readonly expect?: number | undefined;
};

/**
 * Calls an application through the ingress. Throws `TaskError` unless every path answers as its source ranges
 * require: 200 if our address is allowed, otherwise 403; with TLS, HTTP redirects to HTTPS.
 */
export async function testIngress(context: Context, wanted: Wanted): Promise<void> {
  const { environment, settings } = context;
  if (providerOf(environment).simulatedPods)
    throw new TaskError({
      what: `the ${environment.provider} cluster has no ingress to test`,
      why: 'its nodes and pods are simulated: nothing listens behind the routes',
      advice: 'use --provider minikube, or --provider existing with a cluster of your own',
    });
  const site = await readSite(context, wanted.app);
  const { authority: file } = certificateFiles(environment, '');
  const authority = ownCertificates(settings) ? await textIfThere(file) : undefined;
  const problems = await withEntrance(context, site.published, (entrance) =>
    checkSite({ site, entrance, authority, wanted, context }),
  );
  if (problems.length === 0) return;
  throw new TaskError({
    what: `the ingress of ${wanted.app} does not answer as expected`,
    why: problems.join('\n'),
    advice: `see: ${taskCommand(`diff-app ${wanted.app}`)}, ${taskCommand(`test-app ${wanted.app}`)}; --expect names another status`,
  });
}

type Route = { readonly path: string; readonly ranges: readonly string[] };

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

const nginxRanges = 'nginx.ingress.kubernetes.io/whitelist-source-range';

/** The routes of an application in the cluster. Throws `TaskError` if there are none. */
async function readSite(context: Context, app: string): Promise<Site> {
  const { controller, kind } = context.settings.ingress;
  const kinds = [
    kind === 'httproute' ? 'httproutes.gateway.networking.k8s.io' : 'ingresses.networking.k8s.io',
    ...(controller === 'traefik' ? ['middlewares.traefik.io'] : []),
  ];
  const words = ['-n', 'frontend', 'get', kinds.join(','), '-l', `app.kubernetes.io/instance=${app}-front`];
  const site = siteOf(await kubectlList<RouteObject | Middleware>(context, ...words));
  if (site) return site;
  throw new TaskError({
    what: `${app} has no route`,
    why: 'it is not installed, or ingress.controller is `none`',
    advice: `run ${taskCommand(`install-app ${app}`)}`,
  });
}

/** The routes in these objects; undefined if there are none. */
export function siteOf(items: readonly (RouteObject | Middleware)[]): Site | undefined {
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
  return { host: first.host, routes, published: publishedIn(items) };
}

/** The route for a path, with or without a query. */
export function routeOf(site: Site, path: string): Route | undefined {
  const plain = path.split(/[?#]/)[0] ?? '';
  const below = (prefix: string) => plain === prefix || plain.startsWith(prefix.replace(/\/?$/, '/'));
  return site.routes.find((route) => below(route.path));
}

type Check = {
  readonly site: Site;
  readonly entrance: Entrance;
  readonly authority: string | undefined;
  readonly wanted: Wanted;
  readonly context: Pick<Context, 'log' | 'signal'> & { readonly settings: Pick<Settings, 'ingress'> };
};

/** Problems, one per line; logs correct answers. */
export async function checkSite({ site, entrance, authority, wanted, context }: Check): Promise<string[]> {
  const { signal, settings } = context;
  const scheme = settings.ingress.tls.enabled ? 'https' : 'http';
  const port = entrance[scheme];
  if (port === undefined) return [`the ingress controller offers no ${scheme}`];
  const redirected = redirectPort(settings);
  const origin = new URL(`${scheme}://${site.host}:${redirected ?? port}`);
  const ask = (path: string, at = { origin, port }): Promise<Answer> =>
    call({ ...at, address: entrance.address, path, authority, signal });
  const all = wanted.path === undefined && wanted.expect === undefined;
  const paths = all ? site.routes.map((route) => route.path) : [wanted.path ?? '/'];
  // NAT may change our address; the backend shows the one that the controller sees.
  const seen = wanted.expect === undefined ? seenAddress(await ask('/')) : '';
  const problems: string[] = [];
  for (const path of paths.sort()) {
    const { status } = await ask(path);
    const ranges = routeOf(site, path)?.ranges ?? [];
    const allowed = isAllowed(seen, ranges);
    const expected = wanted.expect ?? (allowed ? 200 : 403);
    const why =
      wanted.expect === undefined ? `: ${seen} is ${allowed ? 'in' : 'outside'} ${ranges.join(', ')}` : '';
    const url = `${origin.origin}${path}`;
    if (status === expected) context.log(`${url} answered ${status} as expected${why}`);
    else problems.push(`${url} answered ${status}, expected ${expected}${why}`);
  }
  if (all && scheme === 'https' && entrance.http !== undefined) {
    const plain = new URL(`http://${site.host}:${entrance.http}`);
    const { status, location = '' } = await ask('/', { origin: plain, port: entrance.http });
    const target = URL.canParse(location) ? new URL(location) : undefined;
    // The redirect's port is known for Traefik only.
    const leads = redirected === undefined ? target?.hostname === site.host : target?.host === origin.host;
    const redirects = status >= 301 && status <= 308 && target?.protocol === 'https:';
    if (redirects && leads) context.log(`${plain.origin}/ redirects to ${location}`);
    else {
      const answer = location === '' ? status : `${status} with ${location}`;
      problems.push(`${plain.origin}/ answered ${answer}, expected a redirect to ${origin.origin}`);
    }
  }
  return problems;
}

/** Our address as the controller sees it: X-Forwarded-For if the backend shows it, otherwise the local one. */
function seenAddress({ body, from }: Answer): string {
  return /^X-Forwarded-For: *([0-9a-f.:]+)/im.exec(body)?.[1] ?? from;
}

/** Plain commands of `test-ingress`, which print each route's status. */
export function testIngressCommands(
  { environment, settings }: Target,
  { app, path }: Wanted,
): readonly string[] {
  const controller = controllerOf(settings);
  if (controller === undefined) return ['# ingress.controller is none: there are no routes'];
  const { tls, address } = settings.ingress;
  const host = `${app}-front.${environment.name}.${settings.domain}`;
  const port = tls.enabled ? 443 : 80;
  const scheme = tls.enabled ? 'https' : 'http';
  const trust = ownCertificates(settings) ? `--cacert .state/${environment.name}/certificates/ca.crt ` : '';
  const kubectl = `${kubectlText(environment)} -n ${controller.namespace}`;
  const service = `${kubectl} get service -l app.kubernetes.io/name=${controller.label} -o`;
  const balancer = '.items[0].status.loadBalancer.ingress[0]';
  // Without a load balancer, every node answers on a NodePort.
  const node = providerOf(environment).nodeAddress?.(environment.clusterName);
  const lookup =
    node !== undefined
      ? [
          `address=$(${node})`,
          `port=$(${service} jsonpath='{.items[0].spec.ports[?(@.port==${port})].nodePort}')`,
        ]
      : [`address=$(${service} jsonpath='{${balancer}.ip}{${balancer}.hostname}')`, `port=${port}`];
  const [given = '', givenPort = String(port)] = address.split(':');
  const found = given === '' ? lookup : [`address=${given}`, `port=${givenPort}`];
  const shown = redirectPort(settings) ?? port;
  const origin = new URL(`${scheme}://${host}:${shown}`).origin;
  const paths = path === undefined ? ['/', '/admin', '/api/internal'] : [path];
  const curl = `curl --silent --show-error --output /dev/null --write-out '%{http_code}\\n'`;
  const connect = `${trust}--connect-to "${host}:${shown}:$address:$port"`;
  return [...found, ...paths.map((one) => `${curl} ${connect} ${shellWord(`${origin}${one}`)}`)];
}
