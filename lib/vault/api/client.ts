import { once } from 'node:events';
import { Agent, type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http';
import { request as requestHttps, Agent as TlsAgent } from 'node:https';
import type { Readable } from 'node:stream';
import { text as textOf } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { parseJson } from '@k8s-deployment/runner';
import type { ServerIdentity } from '../../certificates/server.ts';
import { isTree } from '../../ground/tree.ts';
import { hide, refused, standby, unreachable, unreadable, untrusted } from './vault-error.ts';

export type JsonObject = { readonly [key: string]: unknown };

type VaultRequest = {
  readonly body?: JsonObject;
  /** Statuses besides 2xx that are not an error. */
  readonly accept?: readonly number[];
  /** Texts to hide in errors, besides the token. */
  readonly secrets?: readonly string[];
  /** Milliseconds; default is the client's. */
  readonly timeoutMs?: number;
  /** Ignores the client's signal, for answers that Vault gives only once. */
  readonly uninterruptible?: boolean;
};

type VaultAnswer = { readonly status: number; readonly body: JsonObject };

export type VaultClient = {
  readonly address: string;
  readonly withToken: (token: string) => VaultClient;
  /** Calls the HTTP API; `path` comes after `/v1/`. Throws `VaultError`. */
  readonly request: (method: string, path: string, request?: VaultRequest) => Promise<VaultAnswer>;
  /** The `data` of a path; undefined on 404. Throws `VaultError`. */
  readonly read: (path: string) => Promise<JsonObject | undefined>;
  /** Creates or updates a path. Throws `VaultError`. */
  readonly write: (path: string, body: JsonObject, request?: VaultRequest) => Promise<VaultAnswer>;
  /** The answer as a stream, to a request with or without one. No time limit. Throws `VaultError`. */
  readonly stream: (
    method: string,
    path: string,
    request: { readonly body?: Readable; readonly signal: AbortSignal },
  ) => Promise<IncomingMessage>;
};

export type VaultClientInput = {
  /** `https://127.0.0.1:8200`, without `/` and `/v1`. */
  readonly address: string;
  /** By what the server is verified; required for https. */
  readonly identity?: ServerIdentity | undefined;
  readonly token?: string;
  /** Milliseconds per call. Default: 10000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
};

/** A client of Vault's HTTP API. Its errors never show a token or a secret. */
export const vaultClient = (input: VaultClientInput): VaultClient => clientWith(input, transport(input));

type Send = (path: string, options: RequestOptions, body?: string | Readable) => Promise<IncomingMessage>;

/**
 * Requests over connections that stay open. At the end of a TLS session that the server closes, a last message of the
 * client is reset, and kubectl then ends the whole port-forward.
 */
function transport({ address, identity }: VaultClientInput): Send {
  const isTls = address.startsWith('https:');
  const agent = isTls
    ? new TlsAgent({ keepAlive: true, ca: identity?.authority, servername: identity?.name })
    : new Agent({ keepAlive: true });
  const request = isTls ? requestHttps : requestHttp;
  return async (path, options, body) => {
    const sent = request(`${address}/v1/${path}`, { ...options, agent });
    const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
    // After an answer that came before the end of the body.
    sent.on('error', () => undefined);
    if (typeof body === 'object') pipeline(body, sent).catch((error) => sent.destroy(error));
    else sent.end(body);
    const [response] = await answered;
    return response;
  };
}

type Call = Pick<VaultRequest, 'accept' | 'secrets'> & {
  readonly method: string;
  readonly path: string;
  readonly sent: string | Readable | undefined;
  readonly signal: AbortSignal;
  /** Throws if this side has ended the call. */
  readonly check: (call: string) => void;
};

function clientWith(input: VaultClientInput, send: Send): VaultClient {
  const { address, token } = input;

  /** Vault's answer, if its status is 2xx or accepted. */
  async function answerTo({ method, path, sent, signal, accept = [], secrets = [], check }: Call) {
    const call = `${method} ${path}`;
    const unanswered = (error: Error): never => {
      check(call);
      throw (isUntrusted(error) ? untrusted : unreachable)(address, call, error.message);
    };
    const headers = {
      // Vault can be configured to require it.
      'X-Vault-Request': 'true',
      ...(token !== undefined && { 'X-Vault-Token': token }),
      ...(typeof sent === 'string' && { 'Content-Type': 'application/json' }),
    };
    const response = await send(path, { method, headers, signal }, sent).catch(unanswered);
    const { statusCode: status = 0 } = response;
    const read = () => textOf(response).catch(unanswered);
    const succeeded = status >= 200 && status < 300;
    if (succeeded || accept.includes(status)) return { call, response, status, succeeded, read };
    const reason = reasonIn(parseObject(await read()), [token ?? '', ...secrets]);
    // A standby redirects to the active node; following would send the token to an unchecked address.
    if (status >= 300 && status < 400) throw standby(address, call, response.headers.location);
    throw refused(address, call, status, reason);
  }

  async function request(method: string, path: string, options: VaultRequest = {}): Promise<VaultAnswer> {
    const timeoutMs = options.timeoutMs ?? input.timeoutMs ?? 10_000;
    const timeout = AbortSignal.timeout(timeoutMs);
    const interrupt = options.uninterruptible === true ? undefined : input.signal;
    const { call, status, succeeded, read } = await answerTo({
      ...{ ...options, method, path },
      sent: options.body && JSON.stringify(options.body),
      signal: interrupt === undefined ? timeout : AbortSignal.any([timeout, interrupt]),
      check: (call) => {
        interrupt?.throwIfAborted();
        if (timeout.aborted) throw unreachable(address, call, `no answer within ${timeoutMs / 1000} s`);
      },
    });
    const text = await read();
    const body = status === 204 ? {} : parseObject(text);
    if (body === undefined) throw unreadable(address, call, `HTTP ${status} without a JSON object`);
    // A proxy may answer 404 or 403 itself. Vault's own answers have `errors` or `data` (a deleted secret).
    if (succeeded || Array.isArray(body.errors) || objectOf(body.data)) return { status, body };
    throw unreadable(address, call, `HTTP ${status} without Vault's \`errors\``);
  }

  return {
    address,
    withToken: (token) => clientWith({ ...input, token }, send),
    request,
    stream: async (method, path, { body: sent, signal }) =>
      (await answerTo({ method, path, sent, signal, check: () => signal.throwIfAborted() })).response,
    read: async (path) => {
      const answer = await request('GET', path, { accept: [404] });
      return answer.status === 404 ? undefined : dataOf(address, `GET ${path}`, answer);
    },
    write: (path, body, options) => request('POST', path, { ...options, body }),
  };
}

const isUntrusted = ({ code = '' }: NodeJS.ErrnoException): boolean =>
  /^(?:ERR_TLS|ERR_SSL|EPROTO|.*CERT|UNABLE_TO)/.test(code);

/** The `data` of an answer. Throws `VaultError` if it has none. */
export function dataOf(address: string, call: string, { status, body }: VaultAnswer): JsonObject {
  const data = objectOf(body.data);
  if (data === undefined) throw unreadable(address, call, `HTTP ${status} without \`data\``);
  return data;
}

/** The value if it is an object; otherwise undefined. */
export const objectOf = (value: unknown): JsonObject | undefined => (isTree(value) ? value : undefined);

/** A JSON object; undefined for any other text. */
export function parseObject(text: string): JsonObject | undefined {
  return objectOf(parseJson(text));
}

/** Vault's messages in the body of a failed call, on one line and without what is hidden. */
function reasonIn(body: JsonObject | undefined, hidden: readonly string[]): string {
  const errors = Array.isArray(body?.errors) ? body.errors : [];
  // Vault spreads a list of causes over several indented lines.
  const texts = errors.map((line) => String(line).replaceAll(/\s+/g, ' ').trim());
  return hide(texts.filter((line) => line !== '').join('; '), hidden);
}
