import { mkdir, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Test } from 'uvu';
import { folder, useFolder } from '../../../lib/runner/tests/rig/folder.ts';
import type { JsonObject } from '../../../lib/vault/api/client.ts';
import type { DesiredState } from '../../../lib/vault/api/state-schema.ts';
import type { TestCertificate } from '../../rig/certificate.ts';
import { serve, serveTls } from '../../rig/loopback.ts';

export type Call = {
  readonly method: string;
  /** Without `/v1/`. */
  readonly path: string;
  readonly token: string | undefined;
  readonly body: JsonObject;
};

/** `silent` never answers, `gone` ends the connection. `text` is sent as it is, instead of JSON. */
export type Answer =
  | { status?: number; body?: unknown; text?: string; location?: string }
  | 'silent'
  | 'gone';

export type Script = (call: Call) => Answer | undefined;

export const data = (found: object): Answer => ({ body: { data: found } });
export const refused = (status: number, ...errors: string[]): Answer => ({ status, body: { errors } });
export const missing = refused(404);

export type ScriptedVault = {
  readonly address: string;
  readonly calls: readonly Call[];
  readonly requests: () => string[];
};

/**
 * A server on loopback, with TLS if it has a certificate, that answers as the script says; a call without an answer is
 * a 404 of Vault's form. It ends with the process, and does not keep it alive.
 */
export async function scriptedVault(script: Script, tls?: TestCertificate): Promise<ScriptedVault> {
  const calls: Call[] = [];
  const listener: RequestListener = async (request, response) => {
    const sent = await text(request);
    const token = request.headers['x-vault-token'];
    const call = {
      method: request.method ?? '',
      path: (request.url ?? '').replace('/v1/', ''),
      token: typeof token === 'string' ? token : undefined,
      body: sent === '' ? {} : JSON.parse(sent),
    };
    calls.push(call);
    const answer = script(call) ?? missing;
    if (answer === 'gone') request.socket.destroy();
    if (answer === 'silent' || answer === 'gone') return;
    // As Vault: without a body there is nothing to say.
    const empty = answer.body === undefined && answer.text === undefined;
    response.statusCode = answer.status ?? (empty ? 204 : 200);
    if (answer.location !== undefined) response.setHeader('location', answer.location);
    response.end(answer.text ?? (answer.body === undefined ? '' : JSON.stringify(answer.body)));
  };
  return {
    address: tls ? `https://127.0.0.1:${await serveTls(tls, listener)}` : `http://${await serve(listener)}`,
    calls,
    requests: () => calls.map(({ method, path }) => `${method} ${path}`),
  };
}

type Answers = { readonly [call: string]: Answer | readonly Answer[] };

/** Answers each call by its line; a list is used up one answer per call, its last stays. */
function answering(answers: Answers): Script {
  const asked = new Map<string, number>();
  return ({ method, path }) => {
    const call = `${method} ${path}`;
    const turn = asked.get(call) ?? 0;
    asked.set(call, turn + 1);
    const list = [answers[call] ?? []].flat() as readonly Answer[];
    return list[Math.min(turn, list.length - 1)];
  };
}

export const vaultWith = (answers: Answers) => scriptedVault(answering(answers));

export const denied = refused(403, 'permission denied');

export const generated = 'hvs.generated';
const masked = Buffer.from(Buffer.from(generated).map((byte) => byte ^ 48)).toString('base64');

/** A server of Vault, which opens with its key. */
export type Node = { initialized: boolean; sealed: boolean; key: string };

/** Initialises and opens a server, and generates root tokens; `overrides` is asked first. */
export const vaultOf = (node: Node, overrides: Script = () => undefined) =>
  scriptedVault((call) => {
    const answer = overrides(call);
    if (answer !== undefined) return answer;
    const { method, path, body } = call;
    const opens = body.key === node.key;
    const byKey = (given: object) => (opens ? { body: given } : refused(400, `wrong ${body.key}`));
    if (path === 'sys/unseal') node.sealed = !opens;
    if (path === 'sys/init') node.initialized = true;
    const answers: { readonly [call: string]: Answer } = {
      'GET sys/seal-status': { body: { ...node, storage_type: 'raft' } },
      'GET sys/health': { status: node.sealed ? 503 : 200, body: { standby: false } },
      'PUT sys/unseal': byKey({ sealed: false }),
      'PUT sys/init': { body: { keys: ['00'], keys_base64: [node.key], root_token: 'hvs.root' } },
      'PUT sys/generate-root/attempt': { body: { nonce: 'n', otp: '0'.repeat(generated.length) } },
      'DELETE sys/generate-root/attempt': { status: 204 },
      'PUT sys/generate-root/update': byKey({ complete: true, encoded_root_token: masked }),
    };
    return answers[`${method} ${path}`];
  });

/** Of the test that runs, see `useKeys`. */
export let keysPath: string;

/** Gives each test a folder of its own, and a place for keys in it. */
export function useKeys(test: Test): void {
  useFolder(test);
  test.before.each(() => {
    keysPath = join(folder, 'vault', 'keys.json');
  });
}

export async function keep(text: string, path = keysPath): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

/** A desired state with a policy of the operator alone. */
export const emptyState = (text = 'x'): DesiredState => ({
  operator: { policy: { name: 'operations', files: ['operations.hcl'], text }, period: 60 },
  ...{ audit: [], mounts: [], auth: [], policies: [], keyValues: [] },
});

/** Vault's login to a database server. */
export const connection = {
  ...{ name: 'pg', plugin: 'p', url: `db://{{username}}:{{password}}@\${database.host}`, username: 'vault' },
  ...{ password: { file: 'database.yaml', key: 'vaultPassword' }, passwordAuthentication: 'scram-sha-256' },
  maxOpenConnections: 4,
};
