import type { DeclaredState } from './state-schema.ts';
import type { Written } from './vault-object.ts';

/** Vault's desired state, kept under `vault/`. Durations are in seconds. */
export type DesiredState = {
  /** The token that init-vault and status use instead of the root token. */
  readonly operator: {
    /** Its only policy, which it cannot change itself. */
    readonly policy: Policy;
    /** Lifetime of the token; each init-vault renews it. */
    readonly period: number;
  };
  readonly audit: readonly AuditDevice[];
  readonly mounts: readonly Mount[];
  readonly auth: readonly AuthMount[];
  /** All except the operator's. */
  readonly policies: readonly Policy[];
  readonly keyValues: readonly KeyValues[];
};

/** Where Vault logs every request and response, with secrets as hashes. */
export type AuditDevice = DeclaredState['audit'][number];

type DeclaredMount = DeclaredState['mounts'][number];

/** A secrets engine. */
export type Mount = DeclaredMount & {
  /** Transit engines only: name and type of each key. */
  readonly keys: readonly TransitKey[];
  /** Database engines only. */
  readonly connections: readonly DatabaseConnection[];
  /** Database engines only: one role per application, which creates its logins. */
  readonly logins: readonly DatabaseRole[];
};

export type TransitKey = NonNullable<DeclaredMount['keys']>[number];

/** A database engine's login to a server; `${setting}` in the URL is a setting by its dotted name. */
export type DatabaseConnection = NonNullable<DeclaredMount['connections']>[number];

/** A role of a database engine: the statements that create, renew and revoke an application's logins. */
export type DatabaseRole = Written & { readonly name: string };

/** A method to log in with a Kubernetes ServiceAccount. */
export type AuthMount = DeclaredState['auth'][number];

export type Role = AuthMount['roles'][number];

export type Policy = {
  readonly name: string;
  /** Files of its text, relative to the project; those of an application are templates with `values`. */
  readonly files: readonly string[];
  readonly values?: { readonly [name: string]: string };
  readonly text: string;
};

/** An application that gets its secrets from Vault. */
export type Application = DeclaredState['applications'][number];

/** The source of a value: a setting by its dotted name, or a key of a SOPS file. Never a literal. */
export type Reference = Application['secrets'][string][string];

export type KeyValues = {
  /** The kv engine and the path in it. */
  readonly mount: string;
  readonly path: string;
  readonly values: readonly { readonly name: string; readonly from: Reference }[];
};
