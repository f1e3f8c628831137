import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { providerOf } from '../cluster/providers.ts';
import { authorityFile, serverIdentity } from '../database/certificate.ts';
import { root } from '../ground/project.ts';
import { kubectl, kubectlText } from '../kubernetes/kubectl.ts';
import { podStartMs } from '../kubernetes/port-forward.ts';
import { decryptValue } from '../secrets/sops.ts';
import type { Context, EnvironmentContext, Target } from '../settings/context.ts';
import { type Environment, settingsOf, writeWhole } from '../settings/environment.ts';
import type { Settings } from '../settings/settings.ts';
import { vaultClient } from './api/client.ts';
import { convergeVault, formatChange, type VaultChange } from './api/converge.ts';
import type { Policy } from './api/desired-state.ts';
import { type PlainAccess, unsealCommands as plainUnseal, vaultCommands } from './api/dry-run.ts';
import { initialiseVault, unsealVault, waitForVault } from './api/init.ts';
import { readKeys, secretsOf } from './api/keys-file.ts';
import type { KubernetesAccess } from './api/kubernetes-auth.ts';
import { operatorToken } from './api/operator.ts';
import type { Replica } from './api/replica.ts';
import { loadDesiredState } from './api/state.ts';
import { type VaultStatus, vaultStatus } from './api/status.ts';
import { hasVault, type NamedConnection, vaultSelector, withVaultReplicas } from './replicas.ts';

const keysPath = (state: string): string => join(state, 'vault', 'keys.json');
const desiredState = () => loadDesiredState(join(root, 'vault'));

/** How long a Vault that has just been started may take to answer. */
const startMs = 60_000;

/**
 * Brings Vault to the state kept under `vault/`: initialised, unsealed, configured. Logs each object as changed or
 * unchanged and reports whether any was changed.
 */
export async function initVault(context: Context): Promise<void> {
  const { environment } = context;
  const settings = vaultSettings(context.settings);
  const state = await desiredState();
  const { authority } = await serverIdentity(context);
  await redactKeys(context);
  await withVaultReplicas(context, podStartMs, async (connections) => {
    const replicas = await answering(connections, context);
    const input = { keysPath: keysPath(environment.state), signal: context.signal };
    const { client, initialised, unsealed } = await initialiseVault({ ...input, replicas });
    await redactKeys(context);
    if (initialised) context.log(`initialised; its keys are in .state/${environment.name}/vault/keys.json`);
    else if (unsealed.length > 0) context.log(unsealedText(replicas, unsealed));
    const onChange = (change: VaultChange) => context.log(formatChange(change));
    const secret = (text: string) => context.secret(text);
    const operator = await operatorToken({ ...input, client, state, settings, secret, onChange });
    const changes = await convergeVault({
      client: client.withToken(operator.token),
      state,
      kubernetes: await kubernetesAccess(context),
      sources: {
        settings,
        decrypt: (file, key) => decryptValue(context, file, key),
        passwordRecord: join(environment.state, 'vault', 'passwords.sha256'),
        databaseAuthority: authority,
      },
      signal: context.signal,
      onChange,
    });
    const changed = [...operator.changes, ...changes].some(({ outcome }) => outcome === 'changed');
    context.report(initialised || unsealed.length > 0 || changed ? 'changed' : 'unchanged');
  });
}

/**
 * Unseals a Vault that was initialised before; one that was not is left as it is. Returns whether it had to. Throws `TaskError`
 * when it is sealed and the keys are lost.
 */
export async function unseal(context: EnvironmentContext): Promise<'changed' | 'unchanged'> {
  const { environment } = context;
  // A recreated cluster has none to wait for, although the keys of the one before are kept.
  if (!(await hasVault(context))) return 'unchanged';
  await redactKeys(context);
  return withVaultReplicas(context, podStartMs, async (connections) => {
    const replicas = await answering(connections, context);
    const outcome = await unsealVault({
      replicas,
      keysPath: keysPath(environment.state),
      signal: context.signal,
    });
    if (outcome !== 'changed') return 'unchanged';
    context.log('Vault is unsealed');
    return 'changed';
  });
}

/**
 * Vault as `status` shows it; the log says why it is not known whether it is configured. Throws `TaskError` when it cannot be
 * reached.
 */
export async function readVaultStatus(
  context: Pick<EnvironmentContext, '$' | 'log' | 'environment'>,
): Promise<VaultStatus> {
  const { environment } = context;
  const path = keysPath(environment.state);
  const keys = await readKeys(path).catch((error: Error) => error);
  const token = keys instanceof Error ? undefined : keys?.adminToken;
  // The keys of a Vault without the token of `init-vault`: that has not come so far.
  const isSetUp = keys === undefined || keys instanceof Error || token !== undefined;
  const noKeys = keys instanceof Error ? keys.message : keys ? undefined : `its keys are not in ${path}`;
  const state = await desiredState();
  const settings = vaultSettings(await settingsOf(environment));
  return withVaultReplicas(context, 0, async (connections) => {
    const replicas = connections.map(({ name, host, port }) => {
      const client = vaultClient({ address: `http://${host}:${port}`, timeoutMs: 3000 });
      return { name, client: token === undefined ? client : client.withToken(token) };
    });
    const status = await vaultStatus(replicas, state, settings, (reason) => {
      if (isSetUp) context.log(`not known: whether Vault is configured (${noKeys ?? reason})`);
    });
    return isSetUp ? status : { ...status, configured: false };
  });
}

/** Throws `TaskError` for keys that are there and cannot be used. */
export async function checkKeys({ state }: Environment): Promise<void> {
  await readKeys(keysPath(state));
}

/** Whether there is a Vault that was initialised. Throws `TaskError` for one that does not answer: it may be. */
export async function isInitialised(
  context: Pick<EnvironmentContext, '$' | 'log' | 'environment'>,
): Promise<boolean> {
  if (!(await hasVault(context))) return false;
  return (await readVaultStatus(context)).initialized;
}

/** The replicas, each of which answers, sealed or not. */
async function answering(
  connections: readonly NamedConnection[],
  { signal }: EnvironmentContext,
): Promise<readonly Replica[]> {
  const replicas = connections.map(({ name, host, port }) => ({
    name,
    client: vaultClient({ address: `http://${host}:${port}`, signal }),
  }));
  await Promise.all(replicas.map(({ client }) => waitForVault(client, startMs, signal)));
  return replicas;
}

const unsealedText = (replicas: readonly Replica[], unsealed: readonly string[]): string =>
  replicas.length === 1 ? 'unsealed' : `unsealed: ${unsealed.join(', ')}`;

async function redactKeys(context: EnvironmentContext): Promise<void> {
  const { environment } = context;
  const keys = await readKeys(keysPath(environment.state));
  for (const secret of keys ? secretsOf(keys) : []) context.secret(secret);
}

/** The settings, with the address by which Vault reaches PostgreSQL filled in; `known` are those that the cluster will be made with. */
function vaultSettings(loaded: Settings, known: Partial<Settings['vault']> = {}): Settings {
  const settings = { ...loaded, vault: { ...loaded.vault, ...known } };
  const { host, port } = settings.database;
  const databaseAddress = settings.vault.databaseAddress || `${host}:${port}`;
  return { ...settings, vault: { ...settings.vault, databaseAddress } };
}

/**
 * How Vault checks the tokens of workloads. In a pod it uses its own account; a Vault beside the cluster is given the API server's
 * address on this machine and a token of an account that may review others.
 */
async function kubernetesAccess(context: EnvironmentContext): Promise<KubernetesAccess> {
  const { environment } = context;
  const servers = await providerOf(environment).servers?.(environment);
  if (!servers) return inClusterApi;
  return {
    host: servers.api.host,
    caCertificate: await readFile(join(root, servers.api.caCertificateFile), 'utf8'),
    reviewer: {
      token: await reviewerToken(context),
      recordPath: join(environment.state, 'vault', 'reviewer.sha256'),
    },
  };
}

const inClusterApi = { host: 'https://kubernetes.default.svc' };

const reviewerArguments = [
  '-n',
  'kube-system',
  'create',
  'token',
  'vault-token-reviewer',
  '--duration',
  '8760h',
];

/** Kept for as long as it is good for another month: a new one for each run would be a change for each run. */
async function reviewerToken(context: EnvironmentContext): Promise<string> {
  const { $, environment } = context;
  const path = join(environment.state, 'vault', 'reviewer.jwt');
  const known = (await readFile(path, 'utf8').catch(() => '')).trim();
  if (known !== '' && expiry(known) > Date.now() + 30 * 24 * 3600 * 1000) {
    context.secret(known);
    return known;
  }
  const output = await $({ quiet: true })`${kubectl(environment)} ${reviewerArguments}`;
  const token = output.stdout.trim();
  context.secret(token);
  await writeWhole(path, token);
  return token;
}

/** Milliseconds since 1970 at which a JWT ends; 0 when it cannot be read. */
function expiry(token: string): number {
  try {
    return Number(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).exp) * 1000;
  } catch {
    return 0;
  }
}

async function plainAccess(environment: Environment): Promise<PlainAccess> {
  const keys = relative(root, keysPath(environment.state));
  const servers = await providerOf(environment).servers?.(environment);
  if (servers) return { address: servers.settings.address, keysPath: keys };
  const kubectl = kubectlText(environment);
  const forward = `${kubectl} -n vault port-forward svc/vault 8200 & # leave it running for the following commands`;
  return {
    address: 'http://127.0.0.1:8200',
    keysPath: keys,
    pods: { kubectl, selector: vaultSelector, forward },
  };
}

/** The plain commands of `unseal`, for `--dry-run`. */
export const unsealCommands = async (environment: Environment): Promise<readonly string[]> =>
  plainUnseal(await plainAccess(environment));

/** The plain commands of `init-vault`, for `--dry-run`. */
export async function initVaultCommands(target: Target): Promise<readonly string[]> {
  const { environment, settings } = target;
  const servers = await providerOf(environment).servers?.(environment);
  const state = await desiredState();
  const fromRoot = (policy: Policy): Policy => ({
    ...policy,
    files: policy.files.map((file) => relative(root, file)),
  });
  return vaultCommands({
    ...(await plainAccess(environment)),
    state: {
      ...state,
      operator: { ...state.operator, policy: fromRoot(state.operator.policy) },
      policies: state.policies.map(fromRoot),
    },
    environment: environment.name,
    databaseAuthorityFile: authorityFile(target),
    settings: vaultSettings(settings, servers?.settings),
    kubernetes: servers
      ? {
          ...servers.api,
          reviewerTokenCommand: `${kubectlText(environment)} ${reviewerArguments.join(' ')}`,
        }
      : inClusterApi,
  });
}
