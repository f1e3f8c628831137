import { taskCommand } from '../../ground/launcher.ts';
import { TaskError } from '../../runner/runner.ts';

/** A failed call: Vault did not answer, or something else did (`status` undefined), or it answered with an error (`errors` are its own texts). */
export class VaultError extends TaskError {
  readonly status: number | undefined;
  readonly errors: readonly string[];

  constructor(
    fields: { what: string; why?: string; advice?: string; cause?: unknown },
    status: number | undefined,
    errors: readonly string[] = [],
  ) {
    super(fields);
    this.status = status;
    this.errors = errors;
  }
}

/** Vault gave no answer. */
export function unreachable(address: string, call: string, reason: string): VaultError {
  return new VaultError(
    {
      what: `Vault at ${address} cannot be reached`,
      why: `${call}: ${reason}`,
      advice: `${taskCommand('status')} shows whether Vault runs; ${taskCommand('start-k8s')} starts it`,
    },
    undefined,
  );
}

/** Something answered, but not as Vault does: nothing is known of it. `reason` is what was there, and what was missing. */
export function unreadable(address: string, call: string, reason: string): VaultError {
  return new VaultError(
    {
      what: `the answer of ${address} to ${call} is not Vault's`,
      why: reason,
      advice: 'check that this is the address of a Vault server',
    },
    undefined,
  );
}

/** Vault pointed to its active node. */
export function standby(address: string, call: string, location: string | null): VaultError {
  const target = location === null || !URL.canParse(location) ? 'another node' : new URL(location).origin;
  return new VaultError(
    {
      what: `Vault at ${address} is not the active node`,
      why: `${call}: it points to ${target}`,
      advice: 'use the address of the active node',
    },
    307,
  );
}

/** Vault answered with an error; a sealed Vault and missing rights get advice of their own. */
export function refused(
  address: string,
  call: string,
  status: number,
  errors: readonly string[],
): VaultError {
  const why = errors.length > 0 ? errors.join('; ') : `HTTP ${status}`;
  if (status === 503 && errors.some((line) => line.includes('Vault is sealed'))) {
    return new VaultError(
      {
        what: `Vault at ${address} is sealed`,
        why: `${call}: ${why}`,
        advice: `${taskCommand('init-vault')} unseals it with the stored key`,
      },
      status,
      errors,
    );
  }
  const advice =
    status === 403
      ? `the token is not valid any more or has no policy for this path; ${taskCommand('init-vault')} uses the one of the keys file`
      : undefined;
  return new VaultError(
    { what: `Vault refused ${call} with HTTP ${status}`, why, ...(advice === undefined ? {} : { advice }) },
    status,
    errors,
  );
}

/** The text with `***` for each secret. Longer ones first, since one may hold another; a very short one would tear up the text and so tell itself. */
export function hide(text: string, hidden: readonly string[]): string {
  const secrets = hidden
    .filter(({ length }) => length >= 4)
    .sort((left, right) => right.length - left.length);
  return secrets.reduce((result, secret) => result.replaceAll(secret, '***'), text);
}

/** fetch only says "fetch failed"; the reason is in the cause, for several addresses in the causes of the cause. */
export function networkReason(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const first = cause instanceof AggregateError ? cause.errors[0] : cause;
  return first instanceof Error ? first.message : String(first);
}
