import { createServer } from 'node:net';
import { TaskError } from '../../runner/runner.ts';

/** Below Linux's range for outgoing connections (32768 and up), so that no passing client takes a port while we are down. */
const first = 20_000;
const last = 32_000;

/** Whether nothing listens on the loopback port. Throws `TaskError` when that cannot be tried. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') return resolve(false);
      reject(
        new TaskError({
          what: `cannot listen on 127.0.0.1:${port}`,
          why: error.message,
          advice:
            'the servers of the environment need the loopback interface (`ip link set lo up`) and free file descriptors',
          cause: error,
        }),
      );
    });
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

const blocks = (names: readonly string[]): number => Math.floor((last - first) / names.length);

/** The ports that a clone tries in its `step`th attempt, from 0. */
export function portBlock<Name extends string>(
  key: string,
  names: readonly Name[],
  step = 0,
): { readonly [name in Name]: number } {
  const block = (Number.parseInt(key, 16) + step) % blocks(names);
  const entries = names.map((name, index) => [name, first + block * names.length + index]);
  return Object.fromEntries(entries) as { [name in Name]: number };
}

/**
 * A free loopback port for each name: one block, found from the clone's key on, so that it mostly stays the same for a
 * clone and differs between two. Throws `TaskError` when no block is free.
 */
export async function choosePorts<Name extends string>(
  key: string,
  names: readonly Name[],
): Promise<{ readonly [name in Name]: number }> {
  for (let step = 0; step < blocks(names); step += 1) {
    const ports = portBlock(key, names, step);
    const free = await Promise.all(Object.values<number>(ports).map(isFree));
    if (free.every(Boolean)) return ports;
  }
  throw new TaskError({
    what: `no ${names.length} free ports next to each other`,
    why: `every block between ${first} and ${last} has a port that is in use`,
    advice: `stop what listens there: \`${listeners()}\``,
  });
}

/** Throws `TaskError` when one of the ports is in use: the cluster was made with them, and they cannot be changed after. */
export async function checkPorts(ports: { readonly [name: string]: number }): Promise<void> {
  for (const [name, port] of Object.entries(ports)) {
    if (await isFree(port)) continue;
    throw new TaskError({
      what: `port ${port} of ${name} is taken`,
      why: `another program listens on 127.0.0.1:${port}, and this environment was made with that port`,
      advice: `stop it (\`${listeners(port)}\` names it); only a new environment has other ports, and none of the data`,
    });
  }
}

/** A command that names the programs which listen, on one port or any. macOS has no `ss`. */
function listeners(port?: number): string {
  if (process.platform === 'linux') return port === undefined ? 'ss -ltnp' : `ss -ltnp 'sport = :${port}'`;
  return `lsof -nP -iTCP${port === undefined ? '' : `:${port}`} -sTCP:LISTEN`;
}
