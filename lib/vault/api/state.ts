import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { namesEnding } from '../../ground/leftover-files.ts';
import { readStrictYaml } from '../../ground/strict-yaml.ts';
import { type Application, loadApplications } from './applications.ts';
import { Fields } from './fields.ts';
import { readText, unreadable } from './state-files.ts';
import { auditDevice, authMount, mount } from './state-sections.ts';

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
  /** Only of a database engine. */
  readonly connections: readonly DatabaseConnection[];
  /** Only of a database engine: how logins are made, one role for each application. */
  readonly logins: readonly LoginRole[];
};

export type TransitKey = { readonly name: string; readonly type: string };

/** How a database engine reaches a server, and as whom. */
export type DatabaseConnection = {
  readonly name: string;
  readonly plugin: string;
  /** With `{{username}}` and `{{password}}` for Vault, and `${setting}` for settings by their dotted name. */
  readonly url: string;
  readonly username: string;
  readonly password: SecretReference;
  /** How the server keeps passwords of the logins; `scram-sha-256` keeps them out of its statements. */
  readonly passwordAuthentication: string;
  readonly maxOpenConnections: number;
};

/** A role of a database engine: the statements by which a login is made, prolonged and ended. */
export type LoginRole = {
  readonly name: string;
  readonly connection: string;
  readonly create: readonly string[];
  readonly renew: readonly string[];
  readonly revoke: readonly string[];
  readonly ttlSeconds: number;
  readonly maxTtlSeconds: number;
};

/** Where Vault notes every request and answer, with the secrets in them as hashes. */
export type AuditDevice = {
  readonly path: string;
  readonly description: string;
  /** The setting that names its file; `stdout` is Vault's own output. */
  readonly file: { readonly setting: string };
};

/** The token that init-vault and status use in place of the root token. */
export type Operator = {
  /** Its only policy. It cannot change that policy itself. */
  readonly policy: Policy;
  /** How long the token lives unless it is used by init-vault, which prolongs it. */
  readonly periodSeconds: number;
};

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

export type Policy = {
  readonly name: string;
  /** Where the text comes from: of an application, the templates and what they are filled in with. */
  readonly files: readonly string[];
  readonly values?: { readonly [name: string]: string };
  readonly text: string;
};

/** Where a value comes from: a setting by its dotted name, or a key of a SOPS file of the environment. Never a literal. */
export type Reference = { readonly setting: string } | SecretReference;

export type SecretReference = { readonly file: string; readonly key: string };

export type KeyValues = {
  /** The kv engine and the path in it. */
  readonly mount: string;
  readonly path: string;
  readonly values: readonly { readonly name: string; readonly from: Reference }[];
};

/** What Vault is to hold, as kept under `vault/`. */
export type DesiredState = {
  readonly file: string;
  readonly operator: Operator;
  readonly audit: readonly AuditDevice[];
  readonly mounts: readonly Mount[];
  readonly auth: readonly AuthMount[];
  readonly applications: readonly Application[];
  /** All but the operator's. */
  readonly policies: readonly Policy[];
  readonly keyValues: readonly KeyValues[];
};

/**
 * Reads `<folder>/state.yaml` and the policies and statements beside it. Throws `TaskError` that names the file and the key
 * for anything unknown, missing, of the wrong type, or pointing nowhere.
 */
export async function loadDesiredState(folder: string): Promise<DesiredState> {
  const file = join(folder, 'state.yaml');
  const root = Fields.of((await readStrictYaml(await readText(file), file)).value, { file, place: '' }, [
    'operator',
    'audit',
    'mounts',
    'auth',
    'applications',
    'access',
  ]);
  const files = await readPolicies(join(folder, 'policies'));
  const operator = operatorOf(root, files);
  const policies = files.filter(({ name }) => name !== operator.policy.name);
  const audit = root.entries('audit').map(([path, value]) => auditDevice(path, value, root));
  const mounts = root.entries('mounts').map(([path, value]) => mount(path, value, root));
  const auth = root.entries('auth').map(([path, value]) => authMount(path, value, root, policies));
  const declared = { file, operator, audit, mounts, auth, applications: [], policies, keyValues: [] };
  return loadApplications(folder, root, declared);
}

function operatorOf(root: Fields, policies: readonly Policy[]): Operator {
  const fields = root.section('operator', ['policy', 'period']);
  const policy = policies.find(({ name }) => name === fields.text('policy'));
  if (policy === undefined) throw fields.problem('policy', 'names no file of policies/');
  return { policy, periodSeconds: fields.seconds('period') };
}

async function readPolicies(folder: string): Promise<Policy[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    throw unreadable(folder, error);
  }
  return Promise.all(
    namesEnding(folder, names, '.hcl').map(async (name) => {
      const file = join(folder, name);
      return { name: name.slice(0, -'.hcl'.length), files: [file], text: await readText(file) };
    }),
  );
}
