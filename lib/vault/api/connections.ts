import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import { type Tree, valueAt } from '../../ground/tree.ts';
import { writeWhole } from '../../settings/environment.ts';
import { type JsonObject, objectOf, parseObject, type VaultClient } from './client.ts';
import { resolveValue, type Sources, settingText } from './key-values.ts';
import type { AuthMount, DatabaseConnection, Mount } from './state-schema.ts';
import { VaultError } from './vault-error.ts';
import type { VaultObject, Written } from './vault-object.ts';

/* Vault's connections: to the database, and to the API server that checks ServiceAccount tokens. */

/** Vault's login to a database server. Vault tries it on each write. */
export async function connectionObject(
  client: VaultClient,
  mount: Mount,
  connection: DatabaseConnection,
  sources: Sources,
): Promise<VaultObject> {
  const { record, settings, databaseAuthority: tls_ca } = sources;
  const path = `${mount.path}/config/${connection.name}`;
  const password = await resolveValue(connection.password, sources);
  const values = { ...connectionValues(mount, connection, settings), password, tls_ca };
  return {
    kind: 'database connection',
    path,
    find: () => client.read(path),
    compare: async ({ plugin_name, allowed_roles = [], connection_details }) => {
      const details = objectOf(connection_details);
      return [
        ['plugin', plugin_name, values.plugin_name],
        ['roles', allowed_roles, values.allowed_roles],
        ['url', details?.connection_url, values.connection_url],
        ['username', details?.username, values.username],
        ['passwordAuthentication', details?.password_authentication, values.password_authentication],
        ['authority', details?.tls_ca, tls_ca],
        ['maxOpenConnections', Number(details?.max_open_connections), values.max_open_connections],
        ['password', await isRecorded(record, path, password), true],
      ];
    },
    write: async () => {
      await client
        .write(path, values, { secrets: [password], timeoutMs: 30_000 })
        .catch((error: unknown) => Promise.reject(explain(error, connection)));
      await recordSecret(record, path, password);
    },
  };
}

/** Values of a connection, with empty places for the secret and the file. */
export const connectionValues = ({ logins }: Mount, connection: DatabaseConnection, settings: Tree) => ({
  plugin_name: connection.plugin,
  allowed_roles: logins.filter(({ values }) => values.db_name === connection.name).map(({ name }) => name),
  // Vault fills in `{{username}}` and `{{password}}`.
  connection_url: connection.url.replaceAll(/\$\{([\w.]+)\}/g, (_, name: string) =>
    settingText(name, settings),
  ),
  username: connection.username,
  password: '',
  tls_ca: '',
  password_authentication: connection.passwordAuthentication,
  max_open_connections: connection.maxOpenConnections,
});

/** A connection to the environment's own PostgreSQL. */
const ownServer = /\$\{(?:vault\.databaseAddress|database\.host)\}/;

/** Throws `TaskError` unless the password is the secret that the settings give to this role, which has to exist. */
export function checkLogin({ name, url, username, password }: DatabaseConnection, settings: Tree): void {
  const wanted = valueAt(settings, ['database', 'issuers', username, 'password']);
  const named = `sops://${password.file}#/${password.key}`;
  if (wanted === named) return;
  if (wanted === undefined) {
    if (!ownServer.test(url) || username === valueAt(settings, ['database', 'user'])) return;
    throw new TaskError({
      what: `the connection \`${name}\` of vault/state.yaml logs in as \`${username}\`, which is no role of the database`,
      why: `the setting \`database.issuers.${username}\` is null, or missing`,
      advice: `give it the password ${named}, or change the connection, which is that of all environments`,
    });
  }
  throw new TaskError({
    what: `the connection \`${name}\` of vault/state.yaml has the password ${named}`,
    why: `the setting \`database.issuers.${username}.password\` is ${wanted}`,
    advice: 'write the same secret in both places',
  });
}

function explain(error: unknown, { name, username }: DatabaseConnection): unknown {
  if (!(error instanceof VaultError) || error.status !== 400) return error;
  return new TaskError({
    what: `Vault cannot log in to the database \`${name}\` as \`${username}\``,
    why: error.why,
    advice: `${taskCommand('status')} shows if the database answers; installing postgresql creates its roles. Then run ${taskCommand('init-vault')} again`,
    cause: error,
  });
}

/** The address, certificate and reviewer token of a Kubernetes auth method. */
export function kubernetesConfig(
  client: VaultClient,
  mount: AuthMount,
  { kubernetes, record }: Sources,
): VaultObject {
  const { host, caCertificate = '', reviewer = '' } = kubernetes;
  const path = `auth/${mount.path}/config`;
  const certificate = caCertificate.trim();
  // Outside a pod there are no ServiceAccount files.
  const isOutside = reviewer !== '';
  return {
    kind: 'auth config',
    path,
    find: () => client.read(path),
    compare: async (found) => {
      const recorded = !isOutside || (await isRecorded(record, path, reviewer));
      return [
        ['kubernetes_host', found.kubernetes_host, host],
        ['kubernetes_ca_cert', String(found.kubernetes_ca_cert ?? '').trim(), certificate],
        ['disable_local_ca_jwt', found.disable_local_ca_jwt === true, isOutside],
        ['token_reviewer_jwt', found.token_reviewer_jwt_set === true && recorded, isOutside],
      ];
    },
    write: async () => {
      const values = { kubernetes_host: host, kubernetes_ca_cert: certificate };
      const own = { token_reviewer_jwt: reviewer, disable_local_ca_jwt: isOutside };
      await client.write(path, { ...values, ...own }, { secrets: [reviewer] });
      if (isOutside) await recordSecret(record, path, reviewer);
    },
  };
}

/** A role: the ServiceAccounts that may log in, and their policies. */
export const roleOf = (mount: AuthMount, role: AuthMount['roles'][number]): Written => ({
  path: `auth/${mount.path}/role/${role.name}`,
  values: {
    bound_service_account_names: role.serviceAccounts,
    bound_service_account_namespaces: role.namespaces,
    audience: role.audience,
    token_policies: role.policies,
    // Vault's policy `default` allows more than these accounts need.
    token_no_default_policy: true,
    token_ttl: role.ttl,
  },
});

/** True if the secret is the last one written to `path`, which Vault does not return. */
const isRecorded = async (recordPath: string, path: string, secret: string): Promise<boolean> =>
  (await readRecord(recordPath))[path] === hashOf(secret);

/** Stores the secret's hash in a file of mode 0600. */
async function recordSecret(recordPath: string, path: string, secret: string): Promise<void> {
  const record = { ...(await readRecord(recordPath)), [path]: hashOf(secret) };
  await writeWhole(recordPath, `${JSON.stringify(record, undefined, 2)}\n`);
}

/** Hashes by path; empty if the file is missing or damaged, which only costs another write to Vault. */
const readRecord = async (recordPath: string): Promise<JsonObject> =>
  parseObject(await readFile(recordPath, 'utf8').catch(() => '')) ?? {};

const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');
