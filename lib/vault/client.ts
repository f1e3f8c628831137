import { hide, networkReason, refused, standby, unreachable, VaultError } from './vault-error.ts';

export type JsonObject = { readonly [key: string]: unknown };

export type VaultRequest = {
  readonly body?: JsonObject;
  /** Statuses besides 2xx that are an answer and no error. */
  readonly accept?: readonly number[];
  /** Texts that must not show in an error, beside the token. */
  readonly secrets?: readonly string[];
  /** Milliseconds; default is the client's. */
  readonly timeoutMs?: number;
  /** Goes on when the client's signal is aborted: for an answer that cannot be had twice. */
  readonly uninterruptible?: boolean;
};

export type VaultAnswer = { readonly status: number; readonly body: JsonObject };

export type VaultClient = {
  readonly address: string;
  /** The same server with another token. */
  readonly withToken: (token: string) => VaultClient;
  /** One call of the HTTP API; `path` comes after `/v1/`. Throws `VaultError`. */
  readonly request: (method: string, path: string, request?: VaultRequest) => Promise<VaultAnswer>;
  /** The `data` of a path; undefined where Vault answers 404. Throws `VaultError`. */
  readonly read: (path: string) => Promise<JsonObject | undefined>;
  /** Creates or updates a path. Throws `VaultError`. */
  readonly write: (
    path: string,
    body: JsonObject,
    request?: Omit<VaultRequest, 'body'>,
  ) => Promise<JsonObject>;
};

export type VaultClientInput = {
  /** `http://127.0.0.1:8200`, without `/v1`. */
  readonly address: string;
  readonly token?: string;
  /** Milliseconds for one call. Default 10000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
};

/** A client of Vault's HTTP API. Never shows a token or a secret in an error. Needs nothing but Node's `fetch`. */
export function vaultClient(input: VaultClientInput): VaultClient {
  const address = input.address.replace(/\/+$/, '');

  async function request(method: string, path: string, options: VaultRequest = {}): Promise<VaultAnswer> {
    const call = `${method} ${path}`;
    const hidden = [input.token ?? '', ...(options.secrets ?? [])];
    const timeoutMs = options.timeoutMs ?? input.timeoutMs ?? 10_000;
    const timeout = AbortSignal.timeout(timeoutMs);
    const interrupt = options.uninterruptible === true ? undefined : input.signal;

    let status: number;
    let location: string | null;
    let text: string;
    try {
      const response = await fetch(`${address}/v1/${path}`, {
        method,
        headers: {
          // Vault refuses calls without it when it may be reached by a browser or a proxy.
          'X-Vault-Request': 'true',
          ...(input.token === undefined ? {} : { 'X-Vault-Token': input.token }),
          ...(options.body === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
        ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
        // A standby redirects to its active node; following would send the token to an address nobody checked.
        redirect: 'manual',
        signal: interrupt === undefined ? timeout : AbortSignal.any([timeout, interrupt]),
      });
      status = response.status;
      location = response.headers.get('location');
      text = await response.text();
    } catch (error) {
      if (interrupt?.aborted === true) throw interrupt.reason;
      throw unreachable(
        address,
        call,
        timeout.aborted ? `no answer within ${timeoutMs / 1000} s` : networkReason(error),
      );
    }

    if (status >= 300 && status < 400) throw standby(address, call, location);
    const body = parseObject(text);
    if ((status >= 200 && status < 300) || options.accept?.includes(status) === true) {
      if (body !== undefined) return { status, body };
      throw new VaultError(
        {
          what: `the answer of ${address} to ${call} is not Vault's`,
          why: `HTTP ${status} without a JSON object`,
          advice: 'check that this is the address of a Vault server',
        },
        status,
      );
    }
    throw refused(
      address,
      call,
      status,
      errorTexts(body).map((line) => hide(line, hidden)),
    );
  }

  return {
    address,
    withToken: (token) => vaultClient({ ...input, token }),
    request,
    read: async (path) => {
      const answer = await request('GET', path, { accept: [404] });
      return answer.status === 404 ? undefined : objectOf(answer.body.data);
    },
    write: async (path, body, options) =>
      objectOf((await request('POST', path, { ...options, body })).body.data) ?? {},
  };
}

/** The value as an object, undefined for anything else. */
export function objectOf(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : undefined;
}

function parseObject(text: string): JsonObject | undefined {
  if (text.trim() === '') return {};
  try {
    return objectOf(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function errorTexts(body: JsonObject | undefined): string[] {
  const errors = Array.isArray(body?.errors) ? body.errors : [];
  // Vault writes lists of causes over several indented lines.
  return errors.map((line) => String(line).replaceAll(/\s+/g, ' ').trim()).filter((line) => line !== '');
}
