import { type Environment, shellOf } from '../environment.ts';
import { kubectlJson, kubectlText } from '../kubectl.ts';
import { withPortForward } from '../port-forward.ts';
import { type TaskContext, TaskError } from '../runner/runner.ts';
import type { Settings } from '../settings.ts';
import { controllerOf } from './controllers.ts';
import type { Site } from './routes.ts';

/** Where the ingress controller answers this machine. */
export type Entrance = {
  readonly address: string;
  readonly http: number | undefined;
  readonly https: number | undefined;
};

type ServicePort = { readonly port: number; readonly nodePort?: number };

export type Service = {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly ports?: readonly ServicePort[] };
  readonly status?: {
    readonly loadBalancer?: {
      readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[];
    };
  };
};

export type Pod = {
  readonly status?: {
    readonly hostIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
};

/** A load balancer's address, else the port of a node on which a pod is ready; undefined when only a port-forward is left. */
export function entranceOf(service: Service, pods: readonly Pod[]): Entrance | undefined {
  const port = (wanted: number): ServicePort | undefined =>
    service.spec.ports?.find((candidate) => candidate.port === wanted);
  const [balancer] = service.status?.loadBalancer?.ingress ?? [];
  const balanced = balancer?.ip ?? balancer?.hostname;
  if (balanced !== undefined) return { address: balanced, http: port(80)?.port, https: port(443)?.port };
  // With externalTrafficPolicy Local only a node with a pod answers.
  const ready = pods.find(({ status }) =>
    status?.conditions?.some(({ type, status: holds }) => type === 'Ready' && holds === 'True'),
  );
  const node = ready?.status?.hostIP;
  if (node === undefined || port(80)?.nodePort === undefined) return undefined;
  return { address: node, http: port(80)?.nodePort, https: port(443)?.nodePort };
}

/** Calls `use` with the place where the controller answers. Throws `TaskError` when there is none. */
export async function withEntrance<Result>(
  environment: Environment,
  settings: Settings,
  site: Site,
  context: TaskContext,
  use: (entrance: Entrance) => Promise<Result>,
): Promise<Result> {
  const [host = '', port] = settings.ingress.address.split(':');
  if (host !== '') {
    const given = port === undefined ? undefined : Number(port);
    // A port that is given is that of the routes.
    return use(
      site.tls
        ? { address: host, http: given === undefined ? 80 : undefined, https: given ?? 443 }
        : { address: host, http: given ?? 80, https: undefined },
    );
  }
  const controller = controllerOf(settings);
  if (controller === undefined) throw noEntrance(environment, 'ingress.controller is `none`');
  const { namespace, label } = controller;
  const $ = await shellOf(context);
  const select = ['-n', namespace, '-l', `app.kubernetes.io/name=${label}`] as const;
  type List<Item> = { readonly items: readonly Item[] };
  const { items } = await kubectlJson<List<Service>>($, environment, 'get', 'services', ...select);
  const service = items.find(({ spec }) => spec.ports?.some((candidate) => candidate.port === 80));
  if (service === undefined) {
    if (site.published !== undefined) return use({ address: site.published, http: 80, https: 443 });
    throw noEntrance(environment, `namespace ${namespace} has no Service of ${settings.ingress.controller}`);
  }
  const pods = await kubectlJson<List<Pod>>($, environment, 'get', 'pods', ...select);
  const entrance = entranceOf(service, pods.items);
  if (entrance !== undefined) return use(entrance);
  const forward = { namespace, resource: `svc/${service.metadata.name}` };
  return withPortForward(context, environment, { ...forward, port: 80 }, (http) =>
    site.tls
      ? withPortForward(context, environment, { ...forward, port: 443 }, (https) =>
          use({ address: https.host, http: http.port, https: https.port }),
        )
      : use({ address: http.host, http: http.port, https: undefined }),
  );
}

const noEntrance = (environment: Environment, why: string): TaskError =>
  new TaskError({
    what: 'no ingress controller answers',
    why,
    advice: `run create-k8s, or set ingress.address; see: ${kubectlText(environment)} get ingressclass`,
  });
