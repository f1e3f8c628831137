import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJson } from '@k8s-deployment/runner';
import { providerOf } from '../cluster/providers.ts';
import { serverIdentity } from '../database/certificate.ts';
import { isLeftOut } from '../helm/helmfile.ts';
import { kubectl } from '../kubernetes/kubectl.ts';
import { podStartMs } from '../kubernetes/port-forward.ts';
import { isShared } from '../secrets/shared-file.ts';
import { decryptValue } from '../secrets/sops.ts';
import type { Context, Environment, EnvironmentContext, Outcome } from '../settings/context.ts';
import { writeWhole } from '../settings/environment.ts';
import { convergeVault, formatChange, type VaultChange } from './api/converge.ts';
import { initialiseVault, unsealVault, waitForVault } from './api/init.ts';
import type { KubernetesAccess } from './api/key-values.ts';
import { readKeys } from './api/keys-file.ts';
import { operatorToken } from './api/operator.ts';
import type { Replica } from './api/replica.ts';
import { desiredState, inClusterApi, reviewerWords, vaultSettings, writtenPath } from './desired.ts';
import { keysFileName, keysPlace } from './keys-place.ts';
import { hasVault, withVaultReplicas } from './replicas.ts';

/** Milliseconds for a Vault that has started to answer. */
export const answerMs = 3000;

/** The same, after an install that may have renewed the certificate in the pods. */
const loadMs = (environment: Environment): number =>
  providerOf(environment).servers ? answerMs : podStartMs;

/**
 * Brings Vault to the state kept under `vault/`: initialised, unsealed, configured. Logs each object and reports
 * whether any changed.
 */
export async function initVault(context: Context): Promise<void> {
  const { environment, signal } = context;
  if (isLeftOut(context.settings, 'vault')) return context.log('left out by the settings: nothing to do');
  const settings = vaultSettings(context.settings);
  const state = await desiredState(environment);
  const { authority } = await serverIdentity(context);
  await withAnsweringReplicas(context, loadMs(environment), async (replicas, absent) => {
    const input = { keysPlace: keysPlace(context), signal };
    const { client, initialised, unsealed } = await initialiseVault({ ...input, replicas, absent });
    if (initialised)
      context.log(
        `initialised; its keys are in ${keysFileName(environment)}${isShared(environment) ? ', encrypted: commit it, others need it' : ''}`,
      );
    else if (unsealed.length > 0)
      context.log(replicas.length === 1 ? 'unsealed' : `unsealed: ${unsealed.join(', ')}`);
    let changed = initialised || unsealed.length > 0;
    const onChange = (change: VaultChange) => {
      context.log(formatChange(change));
      changed ||= change.difference !== undefined;
    };
    const token = await operatorToken({ ...input, client, state, settings, onChange });
    await convergeVault({
      client: client.withToken(token),
      state,
      sources: {
        settings,
        kubernetes: await kubernetesAccess(context),
        decrypt: (file, key) => decryptValue(context, file, key),
        record: writtenPath(environment),
        databaseAuthority: authority,
      },
      signal,
      onChange,
    });
    context.report(changed ? 'changed' : 'unchanged');
  });
}

/**
 * Unseals an initialised Vault; leaves a new one alone. Returns whether it was sealed. Throws `TaskError` if it is
 * sealed and the keys are lost.
 */
export async function unseal(context: EnvironmentContext): Promise<Outcome> {
  // A recreated cluster has no Vault, even if keys of the previous one exist.
  if (!(await hasVault(context))) return 'unchanged';
  return withAnsweringReplicas(context, answerMs, async (replicas) => {
    const { signal } = context;
    const outcome = await unsealVault({ replicas, keysPlace: keysPlace(context), signal });
    if (outcome === 'changed') context.log('Vault is unsealed');
    return outcome;
  });
}

/** Calls `use` with the replicas once each of them answers, sealed or not, and is verified within `verifiedMs`. */
export async function withAnsweringReplicas<Result>(
  context: EnvironmentContext,
  verifiedMs: number,
  use: (replicas: readonly Replica[], absent: readonly string[]) => Promise<Result>,
): Promise<Result> {
  const { signal } = context;
  // Redacts them.
  await readKeys(keysPlace(context));
  return withVaultReplicas(context, podStartMs, { signal }, async (replicas, absent) => {
    await Promise.all(replicas.map(({ client }) => waitForVault(client, verifiedMs, signal)));
    return use(replicas, absent);
  });
}

/**
 * Vault's access to check workload tokens. In a pod it uses its own account; beside a cluster it gets the address of
 * the API server and a token of an account that may review others.
 */
async function kubernetesAccess(context: EnvironmentContext): Promise<KubernetesAccess> {
  const { environment } = context;
  const servers = await providerOf(environment).servers?.(environment);
  if (!servers) return inClusterApi;
  return {
    host: servers.api.host,
    caCertificate: await readFile(join(environment.root, servers.api.caCertificateFile), 'utf8'),
    reviewer: await reviewerToken(context),
  };
}

/** A token of today's account, valid for another month; kept between runs, as a new one would count as a change. */
export async function reviewerToken(context: EnvironmentContext): Promise<string> {
  const { $, environment } = context;
  const path = join(environment.state, 'vault', 'reviewer.jwt');
  const known = (await readFile(path, 'utf8').catch(() => '')).trim();
  // Unverified.
  const claims = Buffer.from(known.split('.')[1] ?? '', 'base64url').toString();
  const lasts = Object(parseJson(claims)).exp * 1000 > Date.now() + 30 * 24 * 3600 * 1000;
  const ask = async (words: readonly string[]): Promise<string> =>
    (await $({ quiet: true })`${kubectl(environment)} ${words}`).stdout.trim();
  const isKept = lasts && claims.includes(await ask(reviewerWords.uid));
  const token = isKept ? known : await ask(reviewerWords.token);
  context.secret(token);
  if (!isKept) await writeWhole(path, token);
  return token;
}
