import type { DeclaredState } from './state-schema.ts';

/** What Vault is to hold, as kept under `vault/`. All durations are in seconds. */
export type DesiredState = {
  /** The token that init-vault and status use instead of the root token. */
  readonly operator: {
    /** Its only policy. It cannot change that policy itself. */
    readonly policy: Policy;
    /** Lifetime of the token; each init-vault renews it. */
    readonly period: number;
  };
  readonly audit: readonly AuditDevice[];
  readonly mounts: readonly Mount[];
  readonly auth: readonly AuthMount[];
  /** All but the operator's. */
  readonly policies: readonly Policy[];
  readonly keyValues: readonly KeyValues[];
};

/** Where Vault logs every request and response, with secrets as hashes. */
export type AuditDevice = DeclaredState['audit'][number];

type DeclaredMount = DeclaredState['mounts'][number];

/** A secrets engine. */
export type Mount = DeclaredMount & {
  /** Only of a transit engine: name and type of each key. */
  readonly keys: readonly TransitKey[];
  /** Only of a database engine. */
  readonly connections: readonly DatabaseConnection[];
  /** Only of a database engine: how logins are created, one role for each application. */
  readonly logins: readonly DatabaseRole[];
};

export type TransitKey = NonNullable<DeclaredMount['keys']>[number];

/** How a database engine logs in to a server; `${setting}` in the URL is a setting by its dotted name. */
export type DatabaseConnection = NonNullable<DeclaredMount['connections']>[number];

/** A role of a database engine: the statements that create, renew and revoke a login. */
export type DatabaseRole = {
  readonly name: string;
  readonly connection: string;
  readonly create: readonly string[];
  readonly renew: readonly string[];
  readonly revoke: readonly string[];
  readonly ttl: number;
  readonly maxTtl: number;
};

/** A way to log in with a Kubernetes ServiceAccount. */
export type AuthMount = DeclaredState['auth'][number];

export type Role = AuthMount['roles'][number];

export type Policy = {
  readonly name: string;
  /** The files of its text, relative to the project: of an application, templates with `values`. */
  readonly files: readonly string[];
  readonly values?: { readonly [name: string]: string };
  readonly text: string;
};

/** An application that gets its secrets from Vault. */
export type Application = DeclaredState['applications'][number];

/** Where a value comes from: a setting by its dotted name, or a key of a SOPS file. Never a literal. */
export type Reference = Application['secrets'][string][string];

export type KeyValues = {
  /** The kv engine and the path in it. */
  readonly mount: string;
  readonly path: string;
  readonly values: readonly { readonly name: string; readonly from: Reference }[];
};
