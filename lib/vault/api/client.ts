import { isTree } from '../../ground/tree.ts';
import { hide, refused, standby, unreachable, unreadable } from './vault-error.ts';

export type JsonObject = { readonly [key: string]: unknown };

export type VaultRequest = {
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

export type VaultAnswer = { readonly status: number; readonly body: JsonObject };

export type VaultClient = {
  readonly address: string;
  readonly withToken: (token: string) => VaultClient;
  /** Calls the HTTP API; `path` comes after `/v1/`. Throws `VaultError`. */
  readonly request: (method: string, path: string, request?: VaultRequest) => Promise<VaultAnswer>;
  /** The `data` of a path; undefined on 404. Throws `VaultError`. */
  readonly read: (path: string) => Promise<JsonObject | undefined>;
  /** Creates or updates a path. Throws `VaultError`. */
  readonly write: (
    path: string,
    body: JsonObject,
    request?: Omit<VaultRequest, 'body'>,
  ) => Promise<JsonObject>;
};

export type VaultClientInput = {
  /** `http://127.0.0.1:8200`, without `/` and `/v1`. */
  readonly address: string;
  readonly token?: string;
  /** Milliseconds per call. Default: 10000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
};

/** A client of Vault's HTTP API. Its errors never show a token or a secret. */
export function vaultClient(input: VaultClientInput): VaultClient {
  const { address } = input;

  async function request(method: string, path: string, options: VaultRequest = {}): Promise<VaultAnswer> {
    const call = `${method} ${path}`;
    const hidden = [input.token ?? '', ...(options.secrets ?? [])];
    const timeoutMs = options.timeoutMs ?? input.timeoutMs ?? 10_000;
    const timeout = AbortSignal.timeout(timeoutMs);
    const interrupt = options.uninterruptible === true ? undefined : input.signal;

    const unanswered = ({ cause, message }: Error): never => {
      if (interrupt?.aborted === true) throw interrupt.reason;
      // The reason of a failed `fetch` is in its cause.
      const reason = cause instanceof Error ? cause.message : message;
      throw unreachable(address, call, timeout.aborted ? `no answer within ${timeoutMs / 1000} s` : reason);
    };
    const response = await fetch(`${address}/v1/${path}`, {
      method,
      headers: {
        // Vault can be configured to require it.
        'X-Vault-Request': 'true',
        ...(input.token === undefined ? {} : { 'X-Vault-Token': input.token }),
        ...(options.body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      // A standby redirects to the active node; following would send the token to an unchecked address.
      redirect: 'manual',
      signal: interrupt === undefined ? timeout : AbortSignal.any([timeout, interrupt]),
    }).catch(unanswered);
    const { status } = response;
    const text = await response.text().catch(unanswered);

    if (status >= 300 && status < 400) throw standby(address, call, response.headers.get('location'));
    const body = status === 204 ? {} : parseObject(text);
    const succeeded = status >= 200 && status < 300;
    if (succeeded || options.accept?.includes(status) === true) {
      if (body === undefined) throw unreadable(address, call, `HTTP ${status} without a JSON object`);
      // A proxy may answer 404 or 403 itself. Vault's own answers have `errors` or `data` (a deleted secret).
      if (succeeded || Array.isArray(body.errors) || objectOf(body.data)) return { status, body };
      throw unreadable(address, call, `HTTP ${status} without Vault's \`errors\``);
    }
    const errors = errorTexts(body).map((line) => hide(line, hidden));
    throw refused(address, call, status, errors);
  }

  return {
    address,
    withToken: (token) => vaultClient({ ...input, token }),
    request,
    read: async (path) => {
      const answer = await request('GET', path, { accept: [404] });
      return answer.status === 404 ? undefined : dataOf(address, `GET ${path}`, answer);
    },
    write: async (path, body, options) =>
      objectOf((await request('POST', path, { ...options, body })).body.data) ?? {},
  };
}

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
  try {
    return objectOf(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Vault's messages in the body of a failed call. */
export function errorTexts(body: JsonObject | undefined): string[] {
  const errors = Array.isArray(body?.errors) ? body.errors : [];
  // Vault spreads a list of causes over several indented lines.
  return errors.map((line) => String(line).replaceAll(/\s+/g, ' ').trim()).filter((line) => line !== '');
}
