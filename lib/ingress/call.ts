import { once } from 'node:events';
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
  /** Local address of the connection. */
  readonly from: string;
};

export type Call = {
  readonly address: string;
  readonly port: number;
  /** The URL's scheme, host and port. As in a browser, `Host` omits the scheme's default port. */
  readonly origin: URL;
  readonly path: string;
  /** The trusted authority as PEM. Default: Node's. `any` trusts every certificate. */
  readonly authority?: string | undefined;
  readonly signal?: AbortSignal;
  /** Milliseconds without an answer. Default: 10,000. */
  readonly timeoutMs?: number;
};

const bodyBytes = 64 * 1024;

/**
 * Requests a path of an origin at a given address, like curl's `--connect-to`. Throws `TaskError` if no answer comes
 * in time or the certificate is not trusted.
 */
export async function call(wanted: Call): Promise<Answer> {
  const { address, port, origin, path, authority, signal, timeoutMs = 10_000 } = wanted;
  const trust =
    authority === 'any' ? { rejectUnauthorized: false } : { ca: authority, servername: origin.hostname };
  const connection = { host: address, port, path, headers: { host: origin.host }, agent: false as const };
  const options = { ...connection, timeout: timeoutMs, ...(signal && { signal }) };
  const sent = isTls(origin) ? requestHttps({ ...options, ...trust }) : requestHttp(options);
  sent.once('timeout', () => sent.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
  // Also if the answer breaks off.
  sent.on('error', () => {});
  try {
    const [response] = (await once(sent.end(), 'response')) as [IncomingMessage];
    const { statusCode: status = 0, headers, socket } = response;
    const from = socket.localAddress ?? '';
    let body = '';
    for await (const text of response.setEncoding('utf8')) {
      body += text;
      if (body.length >= bodyBytes) break;
    }
    return { status, location: headers.location, body, from };
  } catch (error) {
    throw explain(wanted, error as NodeJS.ErrnoException);
  }
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
      ? `run ${taskCommand('install-tier apps')}, which creates and renews it; the controller loads it after some seconds`
      : 'check that the ingress controller runs and can be reached from here (Docker Desktop: `minikube tunnel`), or set ingress.address',
  });
}
