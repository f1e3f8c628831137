import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Fields } from './fields.ts';
import { parseYaml, readText, unreadable } from './state-files.ts';

/** A secrets engine. */
export type Mount = {
  readonly path: string;
  readonly type: string;
  /** Only of a kv engine. */
  readonly version: number | undefined;
  readonly description: string;
  /** Longest lease in seconds; undefined leaves Vault's own. */
  readonly maxTtlSeconds: number | undefined;
  /** Only of a transit engine: name and type of each key. */
  readonly keys: readonly TransitKey[];
};

export type TransitKey = { readonly name: string; readonly type: string };

/** A way to log in with a Kubernetes ServiceAccount. */
export type AuthMount = {
  readonly path: string;
  readonly description: string;
  readonly maxTtlSeconds: number | undefined;
  readonly roles: readonly Role[];
};

export type Role = {
  readonly name: string;
  readonly serviceAccounts: readonly string[];
  readonly namespaces: readonly string[];
  readonly audience: string;
  readonly policies: readonly string[];
  readonly ttlSeconds: number;
};

export type Policy = { readonly name: string; readonly file: string; readonly text: string };

/** Where a value comes from: a setting by its dotted name, or a key of a SOPS file of the environment. Never a literal. */
export type Reference = { readonly setting: string } | { readonly file: string; readonly key: string };

export type KeyValues = {
  /** The kv engine and the path in it. */
  readonly mount: string;
  readonly path: string;
  readonly values: readonly { readonly name: string; readonly from: Reference }[];
};

/** What Vault is to hold, as kept under `vault/`. */
export type DesiredState = {
  readonly file: string;
  readonly mounts: readonly Mount[];
  readonly auth: readonly AuthMount[];
  readonly policies: readonly Policy[];
  readonly keyValues: readonly KeyValues[];
};

/**
 * Reads `<folder>/state.yaml` and `<folder>/policies/*.hcl`. Throws `TaskError` that names the file and the key for
 * anything unknown, missing, of the wrong type, or pointing nowhere.
 */
export async function loadDesiredState(folder: string): Promise<DesiredState> {
  const file = join(folder, 'state.yaml');
  const root = Fields.of(await parseYaml(await readText(file), file), { file, place: '' }, [
    'mounts',
    'auth',
    'secrets',
  ]);
  const policies = await readPolicies(join(folder, 'policies'));
  const mounts = root.entries('mounts').map(([path, value]) => mount(path, value, root));
  const auth = root.entries('auth').map(([path, value]) => authMount(path, value, root, policies));
  const keyValues = root.entries('secrets').map(([path, value]) => keyValuesAt(path, value, root, mounts));
  return { file, mounts, auth, policies, keyValues };
}

function mount(path: string, value: unknown, root: Fields): Mount {
  const fields = root.child(`mounts.${path}`, value, ['type', 'version', 'description', 'maxTtl', 'keys']);
  const type = fields.text('type');
  if (type === 'kv') {
    if (fields.number('version') !== 2) throw fields.problem('version', 'must be 2, the only one supported');
  } else if (fields.has('version')) {
    throw fields.problem('version', 'is only possible with type kv');
  }
  if (type !== 'transit' && fields.has('keys'))
    throw fields.problem('keys', 'is only possible with type transit');
  const keys = fields.has('keys') ? fields.entries('keys') : [];
  return {
    path,
    type,
    version: type === 'kv' ? 2 : undefined,
    description: fields.text('description'),
    maxTtlSeconds: fields.has('maxTtl') ? fields.seconds('maxTtl') : undefined,
    keys: keys.map(([name, key]) => ({
      name,
      type: root.child(`mounts.${path}.keys.${name}`, key, ['type']).text('type'),
    })),
  };
}

function authMount(path: string, value: unknown, root: Fields, policies: readonly Policy[]): AuthMount {
  const fields = root.child(`auth.${path}`, value, ['type', 'description', 'maxTtl', 'roles']);
  if (fields.text('type') !== 'kubernetes') {
    throw fields.problem('type', 'must be kubernetes, the only one supported');
  }
  return {
    path,
    description: fields.text('description'),
    maxTtlSeconds: fields.has('maxTtl') ? fields.seconds('maxTtl') : undefined,
    roles: fields.entries('roles').map(([name, role]) => {
      const place = `auth.${path}.roles.${name}`;
      const known = ['serviceAccounts', 'namespaces', 'audience', 'policies', 'ttl'];
      const roleFields = root.child(place, role, known);
      const names = roleFields.texts('policies');
      const missing = names.find((policy) => !policies.some(({ name: there }) => there === policy));
      if (missing !== undefined) {
        throw roleFields.problem('policies', `names \`${missing}\`, but there is no policies/${missing}.hcl`);
      }
      return {
        name,
        serviceAccounts: roleFields.texts('serviceAccounts'),
        namespaces: roleFields.texts('namespaces'),
        audience: roleFields.text('audience'),
        policies: names,
        ttlSeconds: roleFields.seconds('ttl'),
      };
    }),
  };
}

function keyValuesAt(path: string, value: unknown, root: Fields, mounts: readonly Mount[]): KeyValues {
  const place = `secrets.${path}`;
  const engine = mounts.find((candidate) => candidate.type === 'kv' && path.startsWith(`${candidate.path}/`));
  if (engine === undefined)
    throw root.problem(place, 'does not begin with the path of a kv engine of `mounts`');
  const fields = root.child(place, value);
  return {
    mount: engine.path,
    path: path.slice(engine.path.length + 1),
    values: fields
      .entries()
      .map(([name, from]) => ({ name, from: reference(`${place}.${name}`, from, root) })),
  };
}

function reference(place: string, value: unknown, root: Fields): Reference {
  if (typeof value !== 'object' || value === null) {
    // The value itself is not shown: it may be a password that somebody wrote here.
    throw root.problem(place, 'must be {setting: name} or {file: name, key: name}, never the value itself');
  }
  const fields = root.child(place, value, ['setting', 'file', 'key']);
  if (!fields.has('setting')) return { file: fields.text('file'), key: fields.text('key') };
  if (fields.has('file') || fields.has('key')) throw root.problem(place, 'has both a setting and a file');
  return { setting: fields.text('setting') };
}

async function readPolicies(folder: string): Promise<Policy[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    throw unreadable(folder, error);
  }
  return Promise.all(
    names
      .filter((name) => name.endsWith('.hcl'))
      .sort()
      .map(async (name) => {
        const file = join(folder, name);
        return { name: name.slice(0, -'.hcl'.length), file, text: await readText(file) };
      }),
  );
}
