import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo, Server } from 'node:net';

/** Makes a server listen on a free port of loopback, and returns the port. */
export async function portOf(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

/** Makes a server listen on a free port of loopback. Returns its address, `host:port`. */
export const listen = async (server: Server): Promise<string> => `127.0.0.1:${await portOf(server)}`;

/** An HTTP server that answers so and ends with the process. Returns its address, `host:port`. */
export async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).on('connection', (socket) => socket.unref());
  const address = await listen(server);
  server.unref();
  return address;
}
