import { randomInt } from 'node:crypto';
import { isFree } from '../../../ground/free-port.ts';

/**
 * A port of loopback where nobody listens. Below Linux's range for outgoing connections, so that no client takes it
 * before its server does, and below the ports of embedded clusters.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 20_000);
    if (await isFree(port)) return port;
  }
}
