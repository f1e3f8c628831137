import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { Agent, type RequestOptions, request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Environment } from '../../settings/context.ts';
import { clusterFolder } from './state.ts';

/**
 * A client of the embedded API server, whose client certificate is in the state folder. A readiness probe costs 3 ms
 * of CPU, through kubectl 80. Other clusters are only accessed by kubectl.
 */
export type Api = Awaited<ReturnType<typeof connectApi>>;

// biome-ignore lint/suspicious/noExplicitAny: callers read Kubernetes objects field by field
type WatchEvent = { readonly type: string; readonly object: any };

type Place = Pick<Environment, 'state' | 'clusterName'>;

/** Node's own would end a quiet watch after 5 s, and with NODE_USE_ENV_PROXY send requests for 127.0.0.1 to the proxy. */
const agent = new Agent({ keepAlive: true });

/** A client of the environment's API server. Throws if the cluster's certificates do not exist yet. */
export async function connectApi(cluster: Place, port: number) {
  const pki = join(clusterFolder(cluster), 'pki');
  const [ca, cert, key] = await Promise.all(
    ['ca.crt', 'admin.crt', 'admin.key'].map((file) => readFile(join(pki, file))),
  );
  const tls = { host: '127.0.0.1', port, ca, cert, key, agent };

  /** Sends a request and returns the response once it begins. */
  const send = async (options: RequestOptions, body?: string): Promise<IncomingMessage> => {
    const sent = request({ ...tls, ...options });
    sent.once('timeout', () => sent.destroy(new Error('the API server did not answer in time')));
    const begun = once(sent, 'response') as Promise<[IncomingMessage]>;
    // Later errors also end the response, whose reader reports them.
    sent.on('error', () => {});
    sent.end(body);
    return (await begun)[0];
  };

  return {
    /** Returns status and parsed body. Sends a string unchanged. Rejects after `timeoutMs` (5 s) without answer. */
    call: async (
      method: string,
      path: string,
      body?: unknown,
      options: { readonly contentType?: string; readonly timeoutMs?: number } = {},
    ): Promise<{ status: number; body: unknown }> => {
      const { contentType = 'application/json', timeoutMs = 5000 } = options;
      const headers = body === undefined ? {} : { 'content-type': contentType };
      const response = await send(
        { method, path, headers, timeout: timeoutMs },
        body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
      );
      const answer = await text(response);
      const json = response.headers['content-type']?.includes('json') && answer !== '';
      return { status: response.statusCode ?? 0, body: json ? JSON.parse(answer) : answer };
    },

    /** Calls `onEvent` for each event until the server or `signal` ends the watch. */
    watch: async (path: string, onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void> => {
      const response = await send({ path, signal });
      if (response.statusCode !== 200) {
        response.resume();
        throw new Error(`the API server answered HTTP ${response.statusCode}`);
      }
      let rest = '';
      for await (const chunk of response.setEncoding('utf8')) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) if (line !== '') onEvent(JSON.parse(line) as WatchEvent);
      }
    },
  };
}

/** True if the API server is ready. */
export const isApiReady = (cluster: Place, port: number): Promise<boolean> =>
  connectApi(cluster, port)
    .then((api) => api.call('GET', '/readyz', undefined, { timeoutMs: 2000 }))
    .then(({ status }) => status === 200)
    .catch(() => false);
