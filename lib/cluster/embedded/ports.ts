import { TaskError } from '@k8s-deployment/runner';
import { isFree } from '../../ground/free-port.ts';

/** Below Linux's range for outgoing connections (from 32768), so that no client takes a port of a stopped cluster. */
const first = 20_000;
const last = 32_000;

export const portNames = [
  'kubeApiserver',
  'etcd',
  'etcdPeer',
  'kubeControllerManager',
  'kubeScheduler',
  'kwokController',
  'vault',
  'vaultCluster',
  'postgresql',
  'operatorMetrics',
  'operatorHealth',
] as const;

export type Ports = { readonly [name in (typeof portNames)[number]]: number };

const blocks = Math.floor((last - first) / portNames.length);

/** The ports of a clone's attempt `step`, counted from 0. */
export function portBlock(key: string, step = 0): Ports {
  const block = (Number.parseInt(key, 16) + step) % blocks;
  return portsFrom(first + block * portNames.length);
}

/** The block that begins with this port, the API server's. */
export const portsFrom = (start: number): Ports =>
  Object.fromEntries(portNames.map((name, index) => [name, start + index])) as Ports;

/**
 * A block of free loopback ports, one for each name. The search starts at the clone's key: a clone usually gets the
 * same ports again, two clones different ones. Throws `TaskError` if no block is free.
 */
export async function choosePorts(key: string): Promise<Ports> {
  for (let step = 0; step < blocks; step += 1) {
    const ports = portBlock(key, step);
    const free = await Promise.all(Object.values(ports).map(isFree));
    if (free.every(Boolean)) return ports;
  }
  throw new TaskError({
    what: `no ${portNames.length} free ports next to each other`,
    why: `every block between ${first} and ${last} has a port that is in use`,
    advice: `stop the programs that listen there: \`${listeners()}\``,
  });
}

/** Throws `TaskError` if a port is in use, as a cluster cannot change its ports. */
export async function checkPorts(ports: { readonly [name: string]: number }): Promise<void> {
  for (const [name, port] of Object.entries(ports)) {
    if (await isFree(port)) continue;
    throw new TaskError({
      what: `port ${port} of ${name} is taken`,
      why: `another program listens on 127.0.0.1:${port}, and this environment keeps its ports`,
      advice: `stop it (\`${listeners(port)}\` names it); only a new environment gets other ports, without the data`,
    });
  }
}

/** A command that lists listening programs, for one port or all. macOS has no `ss`. */
function listeners(port?: number): string {
  if (process.platform === 'linux') return port === undefined ? 'ss -ltnp' : `ss -ltnp 'sport = :${port}'`;
  return `lsof -nP -iTCP${port === undefined ? '' : `:${port}`} -sTCP:LISTEN`;
}
