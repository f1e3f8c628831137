import { secretKey } from '../../settings/secret-reference.ts';
import type { Fields } from './fields.ts';
import type {
  AuditDevice,
  AuthMount,
  DatabaseConnection,
  Mount,
  Policy,
  Reference,
  Role,
  SecretReference,
} from './state.ts';

/** Keys that only one type of engine has. */
const onlyOf = { version: 'kv', keys: 'transit', connections: 'database' } as const;

export function mount(path: string, value: unknown, root: Fields): Mount {
  const place = `mounts.${path}`;
  const fields = root.child(place, value, ['type', 'description', 'maxTtl', ...Object.keys(onlyOf)]);
  const type = fields.text('type');
  for (const [key, only] of Object.entries(onlyOf)) {
    if (type !== only && fields.has(key)) throw fields.problem(key, `is only possible with type ${only}`);
  }
  if (type === 'kv' && fields.number('version') !== 2)
    throw fields.problem('version', 'must be 2, the only one supported');
  return {
    path,
    type,
    version: type === 'kv' ? 2 : undefined,
    description: fields.text('description'),
    maxTtlSeconds: fields.has('maxTtl') ? fields.seconds('maxTtl') : undefined,
    keys: fields.entries('keys').map(([name, key]) => ({
      name,
      type: root.child(`${place}.keys.${name}`, key, ['type']).text('type'),
    })),
    connections: fields
      .entries('connections')
      .map(([name, connection]) =>
        databaseConnection(name, `${place}.connections.${name}`, connection, root),
      ),
    logins: [],
  };
}

function databaseConnection(name: string, place: string, value: unknown, root: Fields): DatabaseConnection {
  const fields = root.child(place, value, [
    'plugin',
    'url',
    'username',
    'password',
    'passwordAuthentication',
    'maxOpenConnections',
  ]);
  const url = fields.text('url');
  // Anything else would show a password to whoever may read the connection.
  if (!url.includes('{{username}}:{{password}}@'))
    throw fields.problem('url', 'must have {{username}}:{{password}} before the host');
  return {
    name,
    plugin: fields.text('plugin'),
    url,
    username: fields.text('username'),
    password: secretReference(`${place}.password`, fields.value('password'), root),
    passwordAuthentication: fields.text('passwordAuthentication'),
    maxOpenConnections: fields.number('maxOpenConnections'),
  };
}

export function authMount(
  path: string,
  value: unknown,
  root: Fields,
  policies: readonly Policy[],
): AuthMount {
  const fields = root.child(`auth.${path}`, value, ['type', 'description', 'maxTtl', 'roles']);
  if (fields.text('type') !== 'kubernetes') {
    throw fields.problem('type', 'must be kubernetes, the only one supported');
  }
  const maxTtlSeconds = fields.has('maxTtl') ? fields.seconds('maxTtl') : undefined;
  const mounted = { path, description: fields.text('description'), maxTtlSeconds };
  return {
    ...mounted,
    roles: fields.entries('roles').map(([name, role]) => authRole(name, mounted, role, root, policies)),
  };
}

function authRole(
  name: string,
  { path, maxTtlSeconds }: Omit<AuthMount, 'roles'>,
  value: unknown,
  root: Fields,
  policies: readonly Policy[],
): Role {
  const fields = root.child(`auth.${path}.roles.${name}`, value, [
    'serviceAccounts',
    'namespaces',
    'audience',
    'policies',
    'ttl',
  ]);
  const names = fields.texts('policies');
  const missing = names.find((policy) => !policies.some(({ name: there }) => there === policy));
  if (missing !== undefined)
    throw fields.problem('policies', `names \`${missing}\`, but there is no policies/${missing}.hcl for it`);
  return {
    name,
    serviceAccounts: fields.texts('serviceAccounts'),
    namespaces: fields.texts('namespaces'),
    audience: fields.text('audience'),
    policies: names,
    ttlSeconds: fields.secondsUpTo(maxTtlSeconds, `auth.${path}.maxTtl`, 'ttl'),
  };
}

export function auditDevice(path: string, value: unknown, root: Fields): AuditDevice {
  const place = `audit.${path}`;
  const fields = root.child(place, value, ['type', 'description', 'file']);
  if (fields.text('type') !== 'file') throw fields.problem('type', 'must be file, the only one supported');
  const file = root.child(`${place}.file`, fields.value('file'), ['setting']);
  return { path, description: fields.text('description'), file: { setting: file.text('setting') } };
}

export function reference(place: string, value: unknown, root: Fields): Reference {
  if (typeof value !== 'object' || value === null) {
    // The value itself is not shown: it may be a password that somebody wrote here.
    throw root.problem(place, 'must be {setting: name} or {file: name, key: name}, never the value itself');
  }
  const fields = root.child(place, value, ['setting', 'file', 'key']);
  if (!fields.has('setting')) {
    const from = { file: fields.text('file'), key: fields.text('key') };
    if (secretKey(`sops://${from.file}#/${from.key}`) !== undefined) return from;
    throw fields.problem('file', 'and key must name a file of secrets/ and a key of its first level');
  }
  if (fields.has('file') || fields.has('key')) throw root.problem(place, 'has both a setting and a file');
  return { setting: fields.text('setting') };
}

/** A reference to a value that is a secret in any case. */
function secretReference(place: string, value: unknown, root: Fields): SecretReference {
  const from = reference(place, value, root);
  if ('file' in from) return from;
  throw root.problem(place, 'must be {file: name, key: name}: settings are no place for a password');
}
