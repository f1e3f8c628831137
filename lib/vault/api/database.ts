import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import { valueAt } from '../../ground/tree.ts';
import { objectOf, type VaultClient } from './client.ts';
import type { DatabaseConnection, DatabaseRole, Mount } from './desired-state.ts';
import { resolveValue, settingText, type ValueSources } from './key-values.ts';
import { isRecorded, recordSecret } from './secret-record.ts';
import { VaultError } from './vault-error.ts';
import { differingNames, type VaultObject } from './vault-object.ts';

export type DatabaseSources = ValueSources & {
  /** Path of a file with the hash of the password written last: Vault does not return it. */
  readonly passwordRecord: string;
  /** PEM of the authority that signed the server's certificate. */
  readonly databaseAuthority: string;
};

/** How Vault logs in to a database server. Vault tries the login on each write. */
export function connectionObject(
  client: VaultClient,
  mount: Mount,
  connection: DatabaseConnection,
  sources: DatabaseSources,
): VaultObject {
  const path = `${mount.path}/config/${connection.name}`;
  const roles = rolesOf(mount, connection);
  // Once: decrypting takes far longer than asking Vault.
  let password: string | undefined;
  return {
    kind: 'database connection',
    path,
    difference: async () => {
      checkSecret(connection, sources.settings);
      password ??= await resolveValue(connection.password, sources);
      const found = await client.read(path);
      if (found === undefined) return 'missing';
      const details = objectOf(found.connection_details);
      return differingNames([
        ['plugin', found.plugin_name, connection.plugin],
        ['roles', found.allowed_roles ?? [], roles],
        ['url', details?.connection_url, connectionUrl(connection, sources.settings)],
        ['username', details?.username, connection.username],
        ['passwordAuthentication', details?.password_authentication, connection.passwordAuthentication],
        ['authority', details?.tls_ca, sources.databaseAuthority],
        ['maxOpenConnections', Number(details?.max_open_connections), connection.maxOpenConnections],
        ['password', await isRecorded(sources.passwordRecord, path, password), true],
      ]);
    },
    write: async () => {
      const secret = password ?? '';
      const body = {
        plugin_name: connection.plugin,
        allowed_roles: roles,
        connection_url: connectionUrl(connection, sources.settings),
        username: connection.username,
        password: secret,
        tls_ca: sources.databaseAuthority,
        password_authentication: connection.passwordAuthentication,
        max_open_connections: connection.maxOpenConnections,
      };
      await client
        .write(path, body, { secrets: [secret], timeoutMs: 30_000 })
        .catch((error: unknown) => Promise.reject(explain(error, connection)));
      await recordSecret(sources.passwordRecord, path, secret);
    },
  };
}

/** Throws `TaskError` unless the password is the secret that the settings give to this role. */
function checkSecret(
  { name, username, password }: DatabaseConnection,
  settings: ValueSources['settings'],
): void {
  const wanted = valueAt(settings, ['database', 'issuers', username, 'password']);
  const named = `sops://${password.file}#/${password.key}`;
  if (wanted === undefined || wanted === named) return;
  throw new TaskError({
    what: `the connection \`${name}\` of vault/state.yaml has the password ${named}`,
    why: `the setting \`database.issuers.${username}.password\` is ${wanted}`,
    advice: 'write the same secret in both places',
  });
}

/** How the logins of one application are created, renewed and revoked. */
export function databaseRoleObject(client: VaultClient, mount: Mount, role: DatabaseRole): VaultObject {
  const path = `${mount.path}/roles/${role.name}`;
  const desired = {
    db_name: role.connection,
    creation_statements: role.create,
    renew_statements: role.renew,
    revocation_statements: role.revoke,
    default_ttl: role.ttl,
    max_ttl: role.maxTtl,
  };
  return {
    kind: 'database role',
    path,
    difference: async () => {
      const found = await client.read(path);
      if (found === undefined) return 'missing';
      // The order of statements matters, and the comparison of lists does not see it.
      const pairs = Object.entries(desired).map(
        ([name, value]) => [name, asText(found[name]), asText(value)] as const,
      );
      return differingNames(pairs);
    },
    write: async () => {
      await client.write(path, desired);
    },
  };
}

/** The names of the roles that may use a connection. */
export const rolesOf = ({ logins }: Mount, { name }: DatabaseConnection): string[] =>
  logins.filter(({ connection }) => connection === name).map((role) => role.name);

/** The URL with its settings filled in; Vault fills in `{{username}}` and `{{password}}`. */
export const connectionUrl = ({ url }: DatabaseConnection, settings: ValueSources['settings']): string =>
  url.replaceAll(/\$\{([\w.]+)\}/g, (_, name: string) => settingText(name, settings));

const asText = (value: unknown): unknown => (Array.isArray(value) ? JSON.stringify(value) : value);

function explain(error: unknown, { name, username }: DatabaseConnection): unknown {
  if (!(error instanceof VaultError) || error.status !== 400) return error;
  return new TaskError({
    what: `Vault cannot log in to the database \`${name}\` as \`${username}\``,
    why: error.errors.join('; '),
    advice: `${taskCommand('status')} shows if the database answers; installing postgresql creates its roles. Then run ${taskCommand('init-vault')} again`,
    cause: error,
  });
}
