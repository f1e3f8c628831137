import * as v from 'valibot';
import { map, mapOf, text } from '../../ground/schema.ts';
import { secretKey } from '../../settings/secret-reference.ts';
import type { Written } from './vault-object.ts';

/*
 * Schema of vault/state.yaml, which documents itself. Maps by name become lists, durations become seconds. After a
 * change: `npm run schemas`.
 */

const secondsPerUnit: { readonly [unit: string]: number } = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `1h`, `1h30m` or `7d`, in seconds. Never zero, which Vault replaces by its default. */
const duration = v.pipe(
  text('a duration such as 30m, 1h or 7d', /^(?=.*[1-9])(?:\d+[smhd])+$/),
  v.transform((value) =>
    [...value.matchAll(/(\d+)(.)/g)].reduce(
      (sum, [, count, unit = '']) => sum + Number(count) * (secondsPerUnit[unit] ?? 0),
      0,
    ),
  ),
);

/** Safe in a Vault path and in SQL quotes. */
const name = text('a name of a-z, 0-9, - and _', /^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$/);

const texts = v.pipe(
  v.array(text(), 'a list of texts that is not empty'),
  v.nonEmpty('a list of texts that is not empty'),
);

const only = <const Word extends string>(word: Word) => v.picklist([word], `${word}, the only one supported`);

/** Turns a map by name into a list whose elements have the name as `key`. */
const listOf = <const Key extends string, Value extends v.GenericSchema<unknown, object>>(
  key: Key,
  value: Value,
  keys?: v.GenericSchema<string>,
) =>
  v.pipe(
    mapOf(value, keys),
    v.transform((values) =>
      Object.entries(values).map(
        ([name, found]) => ({ [key]: name, ...found }) as { [K in Key]: string } & v.InferOutput<Value>,
      ),
    ),
  );

const setting = map({ setting: text('the dotted name of a setting') });

const secret = v.pipe(
  map(
    { file: text('the name of a file in secrets/'), key: text('the name of a key') },
    '{file: name, key: name}, never the value itself',
  ),
  v.check(
    ({ file, key }) => secretKey(`sops://${file}#/${key}`) !== undefined,
    'a YAML file of secrets/ and a key of its first level',
  ),
);

const reference = v.union(
  [setting, secret],
  '{setting: name} or {file: name, key: name}, never the value itself',
);

const connection = map({
  plugin: text(),
  // Any other URL would show its password to everybody who may read the connection.
  url: text('a URL with {{username}}:{{password}} before the host', /\{\{username\}\}:\{\{password\}\}@/),
  username: text(),
  password: secret,
  passwordAuthentication: text(),
  maxOpenConnections: v.pipe(v.number('a whole number'), v.integer('a whole number')),
});

export const stateSchema = map({
  operator: map({ policy: text(), period: duration }),
  audit: v.optional(listOf('path', map({ type: only('file'), description: text(), file: setting })), {}),
  mounts: v.optional(
    listOf(
      'path',
      map({
        type: text(),
        description: text(),
        maxTtl: v.optional(duration),
        version: v.optional(v.literal(2, '2, the only one supported')),
        keys: v.optional(listOf('name', map({ type: text() }))),
        connections: v.optional(listOf('name', connection)),
      }),
    ),
    {},
  ),
  auth: v.optional(
    listOf(
      'path',
      map({
        type: only('kubernetes'),
        description: text(),
        maxTtl: v.optional(duration),
        roles: v.optional(
          listOf(
            'name',
            map({
              serviceAccounts: texts,
              namespaces: texts,
              audience: text(),
              policies: texts,
              ttl: duration,
            }),
          ),
          {},
        ),
      }),
    ),
    {},
  ),
  applications: v.optional(
    listOf(
      'name',
      map({
        backend: name,
        namespace: name,
        database: v.optional(name),
        secrets: v.optional(mapOf(mapOf(reference)), {}),
      }),
      name,
    ),
    {},
  ),
  access: map({
    auth: text(),
    audience: text(),
    tokenTtl: duration,
    secrets: text(),
    policy: text(),
    database: map({
      mount: text(),
      connection: text(),
      policy: text(),
      create: text(),
      renew: text(),
      revoke: text(),
      ttl: duration,
      maxTtl: duration,
    }),
  }),
});

export type DeclaredState = v.InferOutput<typeof stateSchema>;

/** Vault's desired state, kept under `vault/`. Durations are in seconds. */
export type DesiredState = {
  /** The token that init-vault and status use instead of the root token. */
  readonly operator: {
    /** Its only policy, which it cannot change itself. */
    readonly policy: Policy;
    /** Lifetime of the token; each init-vault renews it. */
    readonly period: number;
  };
  /** Where Vault logs every request and response, with secrets as hashes. */
  readonly audit: DeclaredState['audit'];
  readonly mounts: readonly Mount[];
  readonly auth: readonly AuthMount[];
  /** All except the operator's. */
  readonly policies: readonly Policy[];
  readonly keyValues: readonly KeyValues[];
};

type DeclaredMount = DeclaredState['mounts'][number];

/** A secrets engine. */
export type Mount = DeclaredMount & {
  /** Transit engines only: name and type of each key. */
  readonly keys: NonNullable<DeclaredMount['keys']>;
  /** Database engines only: logins to a server. `${setting}` in the URL is a setting by its dotted name. */
  readonly connections: NonNullable<DeclaredMount['connections']>;
  /** Database engines only: for each application, the statements that create, renew and revoke its logins. */
  readonly logins: readonly (Written & { readonly name: string })[];
};

export type DatabaseConnection = Mount['connections'][number];

/** A method to log in with a Kubernetes ServiceAccount. */
export type AuthMount = DeclaredState['auth'][number];

export type Policy = {
  readonly name: string;
  /** Files of its text, relative to the project; those of an application are templates with `values`. */
  readonly files: readonly string[];
  readonly values?: { readonly [name: string]: string };
  readonly text: string;
};

export type KeyValues = {
  /** The kv engine and the path in it. */
  readonly mount: string;
  readonly path: string;
  readonly values: readonly { readonly name: string; readonly from: Reference }[];
};

/** The source of a value: a setting by its dotted name, or a key of a SOPS file. Never a literal. */
export type Reference = v.InferOutput<typeof reference>;
