import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';

export type Answer = {
  readonly status: number;
  /** Where a redirect leads. */
  readonly location: string | undefined;
  /** The first 64 KiB. */
  readonly body: string;
  /** Our own address on the connection. */
  readonly from: string;
};

export type Call = {
  /** Where to connect. */
  readonly address: string;
  readonly port: number;
  /** Scheme, host and port of the URL. As in a browser, `Host` has the port unless it is the scheme's default. */
  readonly origin: URL;
  readonly path: string;
  /** The authority to trust, as PEM; by default Node's. */
  readonly authority: string | undefined;
  readonly signal: AbortSignal;
};

const bodyBytes = 64 * 1024;
const timeoutMs = 10_000;

/**
 * Requests a path of an origin at a given address, like curl's `--connect-to`. Throws `TaskError` if there is no answer within 10 s
 * or the certificate is not trusted.
 */
export function call(wanted: Call): Promise<Answer> {
  const { address, port, origin, path, authority, signal } = wanted;
  return new Promise((resolve, reject) => {
    const options = {
      host: address,
      port,
      path,
      headers: { host: origin.host },
      timeout: timeoutMs,
      signal,
      agent: false,
    };
    const sent = isTls(origin)
      ? requestHttps({
          ...options,
          servername: origin.hostname,
          ...(authority === undefined ? {} : { ca: authority }),
        })
      : requestHttp(options);
    sent.once('response', (response: IncomingMessage) => {
      const from = response.socket.localAddress ?? '';
      const { location } = response.headers;
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        if (body.length < bodyBytes) body += text;
      });
      const end = () => resolve({ status: response.statusCode ?? 0, location, body, from });
      response.once('end', end);
      response.once('error', end);
    });
    sent.once('timeout', () => sent.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    sent.once('error', (error: NodeJS.ErrnoException) => reject(explain(wanted, error)));
    sent.end();
  });
}

const isTls = ({ protocol }: URL): boolean => protocol === 'https:';

function explain({ address, port, origin, path }: Call, error: NodeJS.ErrnoException): TaskError {
  const url = `${origin.origin}${path}`;
  const untrusted =
    isTls(origin) && /^(?:ERR_TLS|.*CERT|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO)/.test(error.code ?? '');
  return new TaskError({
    what: untrusted
      ? `the certificate of ${url} is not trusted`
      : `${url} cannot be reached at ${address}:${port}`,
    why: error.message || (error.code ?? ''),
    advice: untrusted
      ? `run ${taskCommand('install-app <app>')}, which creates and renews it; the controller loads it after some seconds`
      : 'check that the ingress controller runs and can be reached from here (Docker Desktop: `minikube tunnel`), or set ingress.address',
  });
}
