import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { withServer } from './cluster/cluster.ts';
import { expectedPorts, readState } from './cluster/embedded/state.ts';
import { type Environment, settingsOf, shellOf, writeWhole } from './environment.ts';
import { kubectl, kubectlText } from './kubectl.ts';
import { root } from './project.ts';
import type { TaskContext } from './runner/runner.ts';
import type { Settings } from './settings.ts';
import { decryptValue } from './sops.ts';
import { vaultClient } from './vault/client.ts';
import { convergeVault, formatChange } from './vault/converge.ts';
import { unsealCommands as plainUnseal, vaultCommands } from './vault/dry-run.ts';
import { initialiseVault, unsealVault, waitForVault } from './vault/init.ts';
import { readKeys } from './vault/keys-file.ts';
import type { KubernetesAccess } from './vault/kubernetes-auth.ts';
import { loadDesiredState } from './vault/state.ts';
import { type VaultStatus, vaultStatus } from './vault/status.ts';

const keysPath = (environment: Environment): string => join(environment.state, 'vault', 'keys.json');
const desiredState = () => loadDesiredState(join(root, 'vault'));

/** How long a Vault that has just been started may take to answer. */
const startMs = 60_000;

/**
 * Brings Vault to the state kept under `vault/`: initialised, unsealed, configured. Logs each object as changed or
 * unchanged and reports whether any was changed.
 */
export async function initVault(environment: Environment, context: TaskContext): Promise<void> {
  const settings = await settingsOf(environment);
  const state = await desiredState();
  await withServer(context, environment, 'vault', async ({ host, port }) => {
    const client = vaultClient({ address: `http://${host}:${port}`, signal: context.signal });
    await waitForVault(client, startMs, context.signal);
    const { token, initialised, unsealed } = await initialiseVault({
      client,
      keysPath: keysPath(environment),
      signal: context.signal,
    });
    await redactKeys(environment, context);
    if (initialised) context.log(`initialised; its keys are in .state/${environment.name}/vault/keys.json`);
    else if (unsealed) context.log('unsealed');
    const changes = await convergeVault({
      client: client.withToken(token),
      state,
      kubernetes: await kubernetesAccess(environment, context),
      sources: { settings, decrypt: (file, key) => decryptValue(environment, file, key, context) },
      signal: context.signal,
      onChange: (change) => context.log(formatChange(change)),
    });
    const changed = initialised || unsealed || changes.some(({ outcome }) => outcome === 'changed');
    context.report(changed ? 'changed' : 'unchanged');
  });
}

/** Unseals a Vault that was initialised before; one that was not is left as it is. Returns whether it had to. */
export async function unseal(
  environment: Environment,
  context: TaskContext,
): Promise<'changed' | 'unchanged'> {
  if ((await readKeys(keysPath(environment))) === undefined) return 'unchanged';
  await redactKeys(environment, context);
  return withServer(context, environment, 'vault', async ({ host, port }) => {
    const client = vaultClient({ address: `http://${host}:${port}`, signal: context.signal });
    await waitForVault(client, startMs, context.signal);
    const outcome = await unsealVault({ client, keysPath: keysPath(environment), signal: context.signal });
    if (outcome !== 'changed') return 'unchanged';
    context.log('Vault is unsealed');
    return 'changed';
  });
}

/** Vault as `status` shows it; null when it cannot be reached. */
export async function readVaultStatus(
  environment: Environment,
  context: Pick<TaskContext, '$' | 'options'>,
): Promise<VaultStatus | null> {
  const keys = await readKeys(keysPath(environment)).catch(() => undefined);
  const state = await desiredState();
  try {
    return await withServer(context, environment, 'vault', ({ host, port }) => {
      const client = vaultClient({ address: `http://${host}:${port}`, timeoutMs: 3000 });
      return vaultStatus(keys ? client.withToken(keys.rootToken) : client, state);
    });
  } catch {
    return null;
  }
}

async function redactKeys(environment: Environment, context: TaskContext): Promise<void> {
  const keys = await readKeys(keysPath(environment));
  for (const secret of keys ? [keys.rootToken, ...keys.unsealKeys] : []) context.secret(secret);
}

/**
 * How Vault checks the tokens of workloads. In a pod it uses its own account; the Vault beside the embedded cluster is given
 * the API server's address on this machine and a token of an account that may review others.
 */
async function kubernetesAccess(environment: Environment, context: TaskContext): Promise<KubernetesAccess> {
  const embedded = environment.provider === 'embedded' ? await readState(environment) : undefined;
  if (!embedded) return { host: 'https://kubernetes.default.svc' };
  const pki = join(environment.state, 'kwok', 'clusters', environment.clusterName, 'pki');
  return {
    host: `https://127.0.0.1:${embedded.ports.kubeApiserver}`,
    caCertificate: await readFile(join(pki, 'ca.crt'), 'utf8'),
    reviewer: {
      token: await reviewerToken(environment, context),
      recordPath: join(environment.state, 'vault', 'reviewer.sha256'),
    },
  };
}

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
async function reviewerToken(environment: Environment, context: TaskContext): Promise<string> {
  const path = join(environment.state, 'vault', 'reviewer.jwt');
  const known = (await readFile(path, 'utf8').catch(() => '')).trim();
  if (known !== '' && expiry(known) > Date.now() + 30 * 24 * 3600 * 1000) {
    context.secret(known);
    return known;
  }
  const $ = await shellOf(context);
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

/** The address of Vault in plain commands, and what makes it reachable there. */
async function plainAccess(environment: Environment): Promise<{ address: string; forward: string[] }> {
  if (environment.provider === 'embedded') {
    return { address: `http://127.0.0.1:${(await expectedPorts(environment)).vault}`, forward: [] };
  }
  const forward = `${kubectlText(environment)} -n vault port-forward svc/vault 8200 & # leave it running for the following commands`;
  return { address: 'http://127.0.0.1:8200', forward: [forward] };
}

const keysText = (environment: Environment): string => relative(root, keysPath(environment));

/** The plain commands of `unseal`, for `--dry-run`. */
export async function unsealCommands(environment: Environment): Promise<readonly string[]> {
  const { address, forward } = await plainAccess(environment);
  return [...forward, ...plainUnseal(address, keysText(environment))];
}

/** The plain commands of `init-vault`, for `--dry-run`. */
export async function initVaultCommands(
  environment: Environment,
  settings: Settings,
): Promise<readonly string[]> {
  const { address, forward } = await plainAccess(environment);
  const ports = await expectedPorts(environment);
  const state = await desiredState();
  const lines = vaultCommands({
    state: {
      ...state,
      policies: state.policies.map((policy) => ({ ...policy, file: relative(root, policy.file) })),
    },
    environment: environment.name,
    address,
    keysPath: keysText(environment),
    settings,
    kubernetes:
      environment.provider === 'embedded'
        ? {
            host: `https://127.0.0.1:${ports.kubeApiserver}`,
            caCertificateFile: `.state/${environment.name}/kwok/clusters/${environment.clusterName}/pki/ca.crt`,
            reviewerTokenCommand: `${kubectlText(environment)} ${reviewerArguments.join(' ')}`,
          }
        : { host: 'https://kubernetes.default.svc' },
  });
  return [...forward, ...lines];
}
