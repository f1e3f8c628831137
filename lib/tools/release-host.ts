import { connect } from 'node:net';

const answerWithinMs = 3000;
const probes = new Map<string, Promise<boolean>>();

/**
 * Whether a host takes connections on port 443 (or on the port in `host:port`) within 3 s; asked once per process. Behind a
 * proxy it counts as reachable, since only the download itself can tell.
 */
export function isReachable(host: string): Promise<boolean> {
  if (process.env.HTTPS_PROXY || process.env.https_proxy) return Promise.resolve(true);
  const known = probes.get(host);
  if (known !== undefined) return known;
  const probe = tryToConnect(host);
  probes.set(host, probe);
  return probe;
}

function tryToConnect(host: string): Promise<boolean> {
  const [name = host, port = '443'] = host.split(':');
  return new Promise((resolve) => {
    const socket = connect({ host: name, port: Number(port) });
    const finish = (reachable: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reachable);
    };
    // A timer of our own: the socket's own timeout does not run while the name is looked up.
    const timer = setTimeout(() => finish(false), answerWithinMs);
    socket.once('connect', () => finish(true));
    socket.once('error', () => finish(false));
  });
}
