import { connect } from 'node:net';
import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';
import { holds, kubectlList, kubectlText, type Named, type WithConditions } from '../kubernetes/kubectl.ts';
import { type ForwardTarget, withPortForward } from '../kubernetes/port-forward.ts';
import type { Context, Environment, ShellContext, Target } from '../settings/context.ts';
import { controllerOf } from './controllers.ts';

/** Address of the ingress controller, as seen from this machine. */
export type Entrance = {
  readonly address: string;
  readonly http: number | undefined;
  readonly https: number | undefined;
};

/** A status with the addresses of a load balancer. */
export type Balanced = {
  readonly status?: {
    readonly loadBalancer?: {
      readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[];
    };
  };
};

type ServicePort = { readonly port: number; readonly nodePort?: number };

type Service = Balanced & Named & { readonly spec: { readonly ports?: readonly ServicePort[] } };

type Pod = Pick<WithConditions, 'status'> & { readonly status?: { readonly hostIP?: string } };

/** The address in an Ingress's or Service's status. */
export function publishedAddress({ status }: Balanced): string | undefined {
  const [balancer] = status?.loadBalancer?.ingress ?? [];
  return balancer?.ip ?? balancer?.hostname;
}

/** A load balancer's address, or a node with a ready pod; undefined if only a port-forward remains. */
function entranceOf(service: Service, pods: readonly Pod[]): Entrance | undefined {
  const port = (wanted: number): ServicePort | undefined =>
    service.spec.ports?.find((candidate) => candidate.port === wanted);
  const balanced = publishedAddress(service);
  if (balanced !== undefined) return { address: balanced, http: port(80)?.port, https: port(443)?.port };
  // With externalTrafficPolicy Local, only nodes with a pod answer.
  const node = pods.find(({ status }) => holds(status?.conditions, 'Ready'))?.status?.hostIP;
  if (node === undefined || port(80)?.nodePort === undefined) return undefined;
  return { address: node, http: port(80)?.nodePort, https: port(443)?.nodePort };
}

/** This machine's access to the controller. */
type Way =
  | { readonly entrance: Entrance }
  /** Only by a forwarded port; `why` completes a sentence about the controller. */
  | { readonly forward: Pick<ForwardTarget, 'namespace' | 'resource'>; readonly why: string };

/**
 * Finds the controller by the setting `ingress.address`, by its Service, or by the address in the Ingresses' status.
 * Throws `TaskError` if there is none.
 */
export async function findWay(context: Target & ShellContext, published?: string): Promise<Way> {
  const { environment, settings } = context;
  const { enabled: tls } = settings.ingress.tls;
  const [host = '', hostPort] = settings.ingress.address.split(':');
  if (host !== '') {
    const given = hostPort === undefined ? undefined : Number(hostPort);
    // A configured port is the one of the routes.
    const entrance = tls
      ? { address: host, http: given === undefined ? 80 : undefined, https: given ?? 443 }
      : { address: host, http: given ?? 80, https: undefined };
    return { entrance };
  }
  const controller = controllerOf(settings);
  if (controller === undefined) throw noEntrance(environment, 'ingress.controller is `none`');
  const { namespace, label } = controller;
  const select = ['-n', namespace, '-l', `app.kubernetes.io/name=${label}`] as const;
  const services = await kubectlList<Service>(context, 'get', 'services', ...select);
  const service = services.find(({ spec }) => spec.ports?.some((candidate) => candidate.port === 80));
  if (service === undefined) {
    if (published !== undefined) return { entrance: { address: published, http: 80, https: 443 } };
    throw noEntrance(environment, `namespace ${namespace} has no Service of ${settings.ingress.controller}`);
  }
  const entrance = entranceOf(service, await kubectlList<Pod>(context, 'get', 'pods', ...select));
  const forward = { namespace, resource: `svc/${service.metadata.name}` };
  if (entrance === undefined) return { forward, why: 'has no address outside the cluster' };
  const port = tls ? entrance.https : entrance.http;
  if (port !== undefined && (await connects(entrance.address, port))) return { entrance };
  return { forward, why: `does not answer at ${entrance.address}:${port}` };
}

/** Milliseconds. Packets to a node in a virtual machine (Docker Desktop, WSL) are often dropped. */
const connectMs = 2000;

function connects(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: connectMs });
    const end = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}

/** Calls `use` with the controller's address or a forwarded port. Throws `TaskError` if there is none. */
export async function withEntrance<Result>(
  context: Context,
  published: string | undefined,
  use: (entrance: Entrance) => Promise<Result>,
): Promise<Result> {
  const way = await findWay(context, published);
  if ('entrance' in way) return use(way.entrance);
  const { forward, why } = way;
  context.log(
    `the ingress controller ${why}: called through a forwarded port, so it sees the caller as 127.0.0.1`,
  );
  return withPortForward(context, { ...forward, port: 80 }, (http) =>
    context.settings.ingress.tls.enabled
      ? withPortForward(context, { ...forward, port: 443 }, (https) =>
          use({ address: https.host, http: http.port, https: https.port }),
        )
      : use({ address: http.host, http: http.port, https: undefined }),
  );
}

const noEntrance = (environment: Environment, why: string): TaskError =>
  new TaskError({
    what: 'no ingress controller answers',
    why,
    advice: `run ${taskCommand('create-k8s')}, or set ingress.address; see: ${kubectlText(environment)} get ingressclass`,
  });
