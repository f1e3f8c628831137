import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';

type Fields = ConstructorParameters<typeof TaskError>[0] & { readonly status?: number };

/** A failed call: without an answer (`status` undefined), or with Vault's messages as the reason. */
export class VaultError extends TaskError {
  readonly status: number | undefined;

  constructor({ status, ...fields }: Fields) {
    super(fields);
    this.status = status;
  }
}

/** The server does not speak TLS, or has a certificate of another authority, name or time. */
export class UntrustedError extends VaultError {}

/** The stored keys are missing, too few, or another Vault's. */
export class KeysError extends TaskError {}

export const unreachable = (address: string, call: string, reason: string): VaultError =>
  new VaultError({
    what: `Vault at ${address} cannot be reached`,
    why: `${call}: ${reason}`,
    advice: `${taskCommand('status')} shows if Vault runs; ${taskCommand('start-k8s')} starts it`,
  });

export const untrusted = (address: string, call: string, reason: string): VaultError =>
  new UntrustedError({
    what: `Vault at ${address} cannot be verified by its certificate`,
    why: `${call}: ${reason}`,
    advice: `${taskCommand('create-environment')} renews the certificate and updates a Vault that does not use it yet`,
  });

/** The error for an answer that did not come from Vault. `why` says what it lacks. */
export const unreadable = (address: string, call: string, why: string): VaultError =>
  new VaultError({
    what: `the answer of ${address} to ${call} is not Vault's`,
    why,
    advice: 'check that this is the address of a Vault server',
  });

export function standby(address: string, call: string, location = ''): VaultError {
  const target = URL.canParse(location) ? new URL(location).origin : 'another node';
  return new VaultError({
    what: `Vault at ${address} is not the active node`,
    why: `${call}: it points to ${target}`,
    advice: 'use the address of the active node',
    status: 307,
  });
}

/** The error for Vault's error, with advice for a sealed Vault and missing rights. */
export function refused(address: string, call: string, status: number, reason: string) {
  const why = reason || `HTTP ${status}`;
  if (status === 503 && why.includes('Vault is sealed')) {
    return new VaultError({
      ...{ what: `Vault at ${address} is sealed`, why: `${call}: ${why}`, status },
      advice: `${taskCommand('init-vault')} unseals it with the stored key`,
    });
  }
  const advice =
    status === 403
      ? `the token is no longer valid or has no policy for this path; ${taskCommand('init-vault')} uses the one of the keys file`
      : status >= 500
        ? 'see the log of Vault: its disk may be full, or a service that it needs may not answer'
        : undefined;
  return new VaultError({ what: `Vault refused ${call} with HTTP ${status}`, why, advice, status });
}

/** Replaces each secret by `***`; longer ones first, since one may contain another. */
export function hide(text: string, hidden: readonly string[]): string {
  const secrets = hidden
    // Gaps would reveal very short ones.
    .filter(({ length }) => length >= 4)
    .sort((left, right) => right.length - left.length);
  return secrets.reduce((result, secret) => result.replaceAll(secret, '***'), text);
}
