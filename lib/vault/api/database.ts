import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import { type Tree, valueAt } from '../../ground/tree.ts';
import { objectOf, type VaultClient } from './client.ts';
import { resolveValue, type Sources, settingText } from './key-values.ts';
import type { DatabaseConnection, Mount } from './state-schema.ts';
import { VaultError } from './vault-error.ts';
import { differingNames, isRecorded, recordSecret, type VaultObject } from './vault-object.ts';

/**
 * Vault's login to a database server. Vault tries it on each write. Throws `TaskError` if the settings do not give it
 * one.
 */
export function connectionObject(
  client: VaultClient,
  mount: Mount,
  connection: DatabaseConnection,
  sources: Sources,
): VaultObject {
  checkLogin(connection, sources.settings);
  const path = `${mount.path}/config/${connection.name}`;
  // Read once: decrypting takes far longer than asking Vault.
  let password = '';
  const desired = () => connectionValues(mount, connection, sources.settings);
  return {
    kind: 'database connection',
    path,
    find: async () => {
      password ||= await resolveValue(connection.password, sources);
      return client.read(path);
    },
    compare: async (found) => {
      const details = objectOf(found.connection_details);
      const wanted = desired();
      return differingNames([
        ['plugin', found.plugin_name, wanted.plugin_name],
        ['roles', found.allowed_roles ?? [], wanted.allowed_roles],
        ['url', details?.connection_url, wanted.connection_url],
        ['username', details?.username, wanted.username],
        ['passwordAuthentication', details?.password_authentication, wanted.password_authentication],
        ['authority', details?.tls_ca, sources.databaseAuthority],
        ['maxOpenConnections', Number(details?.max_open_connections), wanted.max_open_connections],
        ['password', await isRecorded(sources.record, path, password), true],
      ]);
    },
    write: async () => {
      const values = { ...desired(), password, tls_ca: sources.databaseAuthority };
      await client
        .write(path, values, { secrets: [password], timeoutMs: 30_000 })
        .catch((error: unknown) => Promise.reject(explain(error, connection)));
      await recordSecret(sources.record, path, password);
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
function checkLogin({ name, url, username, password }: DatabaseConnection, settings: Tree): void {
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
    why: error.errors.join('; '),
    advice: `${taskCommand('status')} shows if the database answers; installing postgresql creates its roles. Then run ${taskCommand('init-vault')} again`,
    cause: error,
  });
}
