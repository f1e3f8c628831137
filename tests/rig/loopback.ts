import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';

/** Makes a server listen on a free port of loopback until the process ends. Returns the port. */
export async function portOf(server: Server): Promise<number> {
  server.on('connection', (socket) => socket.unref()).unref();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

/** Such an HTTP server that answers so. Returns its address, `host:port`. */
export const serve = async (listener: RequestListener): Promise<string> =>
  `127.0.0.1:${await portOf(createServer(listener))}`;

/** Such an HTTPS server with a certificate. Returns its port. */
export async function serveTls(
  { certificate, key }: { readonly certificate: string; readonly key: string },
  listener?: RequestListener,
): Promise<number> {
  const [cert, pem] = [readFileSync(certificate), readFileSync(key)];
  return portOf(createTlsServer({ cert, key: pem }, listener));
}
