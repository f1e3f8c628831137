import { setTimeout as delay } from 'node:timers/promises';
import { UsageError } from '@k8s-deployment/runner';
import { clusterOf, postgresqlTarget } from '../cluster/cluster.ts';
import { providerOf } from '../cluster/providers.ts';
import { isFree } from '../ground/free-port.ts';
import { call } from '../ingress/call.ts';
import { controllerOf } from '../ingress/controllers.ts';
import { findWay } from '../ingress/entrance.ts';
import { formatAddresses } from '../ingress/routes.ts';
import { kubectlText } from '../kubernetes/kubectl.ts';
import { type Connection, type ForwardTarget, keepForward, podStartMs } from '../kubernetes/port-forward.ts';
import type { Context, Target } from '../settings/context.ts';
import { vaultTarget } from '../vault/replicas.ts';

const forwardNames = ['vault', 'postgresql', 'ingress'] as const;

type Name = (typeof forwardNames)[number];

const schemes = { vault: 'https://', postgresql: '' };

/** Access to a server: an address reachable from this machine, or a forwarded port, and the local one to try first. */
type Way = { readonly scheme: string } & (
  | { readonly at: Connection }
  | { readonly target: ForwardTarget; readonly localPort: number }
);

/** The longest delay of a timer: 24 days. */
const longestMs = 2 ** 31 - 1;

/**
 * Prints the local addresses of Vault, PostgreSQL and the ingress controller and keeps forwarded ports open until the
 * run stops. Throws `TaskError` if a server does not answer for two minutes.
 */
export async function forward(context: Context, asked: readonly Name[]): Promise<void> {
  const names = serversToForward(context, asked);
  const ways = await Promise.all(names.map(async (name) => ({ name, ...(await wayTo(name, context)) })));
  const addresses = new Map<Name, string>();
  await Promise.all(
    ways.map(async ({ name, scheme, ...way }) => {
      const onOpen = ({ host, port }: Connection): void => {
        const again = addresses.has(name);
        addresses.set(name, `${scheme}${host}:${port}`);
        if (again) context.log(`${name}: connected again`);
        else if (addresses.size === names.length) tell(context, names, addresses);
      };
      if ('at' in way) return onOpen(way.at);
      const localPort = (await isFree(way.localPort)) ? way.localPort : undefined;
      const onLost = (reason: string) => context.log(`${name}: ${reason}; connecting again`);
      await keepForward(context, { ...way.target, localPort, waitMs: podStartMs }, { onOpen, onLost });
    }),
  );
  // A signal listener alone would not keep the process running.
  await delay(longestMs, undefined, { signal: context.signal }).catch(() => undefined);
}

/** The requested servers, or all that can answer. Throws `UsageError` for the ingress of simulated pods. */
export function serversToForward({ environment, settings }: Target, asked: readonly Name[]): readonly Name[] {
  const { simulatedPods } = providerOf(environment);
  if (simulatedPods && asked.includes('ingress'))
    throw new UsageError({
      what: `nothing answers behind the ingress of the ${environment.provider} cluster`,
      why: 'its pods are simulated, those of the ingress controller too',
      advice: 'leave `ingress` out',
    });
  const noIngress =
    simulatedPods || (controllerOf(settings) === undefined && settings.ingress.address === '');
  return forwardNames.filter((name) =>
    asked.length > 0 ? asked.includes(name) : name !== 'ingress' || !noIngress,
  );
}

async function wayTo(name: Name, context: Context): Promise<Way> {
  const { environment } = context;
  if (name === 'ingress') return wayToIngress(context);
  const servers = await providerOf(environment).servers?.(environment);
  const scheme = schemes[name];
  if (servers) return { scheme, at: { host: '127.0.0.1', port: servers[name] } };
  const target = name === 'vault' ? await vaultTarget(context) : postgresqlTarget(context.settings);
  return { scheme, target, localPort: target.port };
}

async function wayToIngress(context: Context): Promise<Way> {
  const { enabled: tls } = context.settings.ingress.tls;
  const scheme = tls ? 'https://' : 'http://';
  const way = await findWay(context);
  const { port, localPort } = ingressPorts(tls);
  if ('forward' in way)
    return { scheme, target: { ...way.forward, port, answers: answersAny(scheme) }, localPort };
  const { address, http, https } = way.entrance;
  return { scheme, at: { host: address, port: (tls ? https : http) ?? port } };
}

/** Port of the controller's Service, and a local port that needs no root. */
const ingressPorts = (tls: boolean) => (tls ? { port: 443, localPort: 8443 } : { port: 80, localPort: 8080 });

/** True if an HTTP server answers, with any status and any certificate. */
const answersAny =
  (scheme: string) =>
  ({ host, port }: Connection): Promise<boolean> =>
    call({
      ...{ address: host, port, path: '/', origin: new URL(`${scheme}${host}:${port}`) },
      ...{ authority: 'any', timeoutMs: 3000 },
    }).then(
      () => true,
      () => false,
    );

function tell(context: Context, names: readonly Name[], addresses: ReadonlyMap<Name, string>): void {
  const rows = names.map((name) => ({ name, address: addresses.get(name) ?? '' }));
  context.print(context.options.json ? JSON.stringify(rows, null, 2) : formatAddresses(rows));
  // This line marks the task as ready.
  context.log('open until Ctrl-C');
}

/** The same as plain commands; each runs until it is stopped. */
export async function forwardCommands(target: Target, asked: readonly Name[]): Promise<readonly string[]> {
  const { environment, settings } = target;
  const names = serversToForward(target, asked);
  const kubectl = kubectlText(environment);
  const line = (namespace: string, resource: string, local: number, port: number): string =>
    `${kubectl} -n ${namespace} port-forward ${resource} ${local}:${port} --address 127.0.0.1`;
  const servers = await providerOf(environment).servers?.(environment);
  if (servers) return (await clusterOf(environment)).commands.services(target);
  const commands = names.map((name) => {
    if (name !== 'ingress') {
      const vault = { namespace: 'vault', resource: 'svc/vault', port: 8200 };
      const { namespace, resource, port } = name === 'vault' ? vault : postgresqlTarget(settings);
      return line(namespace, resource, port, port);
    }
    const controller = controllerOf(settings);
    if (controller === undefined || settings.ingress.address !== '')
      return `# ingress: ${settings.ingress.address || 'the setting ingress.controller is none'}`;
    const { namespace, label } = controller;
    const service = `"$(${kubectl} -n ${namespace} get services -l app.kubernetes.io/name=${label} -o name)"`;
    const { port, localPort } = ingressPorts(settings.ingress.tls.enabled);
    return line(namespace, service, localPort, port);
  });
  // The runner itself puts the last command in the background.
  return commands.map((command, index) => (index < commands.length - 1 ? `${command} &` : command));
}
