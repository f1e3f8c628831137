import { join } from 'node:path';
import { quote } from '@k8s-deployment/runner';
import { providerOf } from '../cluster/providers.ts';
import { shellWord } from '../ground/shell-words.ts';
import { leftOut } from '../ground/variables.ts';
import { kubectlText } from '../kubernetes/kubectl.ts';
import { isShared } from '../secrets/shared-file.ts';
import type { Environment, InEnvironment, ShellContext } from '../settings/context.ts';
import { exportHomes, helmHomes, homesOf, writeWhole } from '../settings/environment.ts';
import { loadSettings } from '../settings/settings.ts';
import { toolEnvironment } from '../tools/tools.ts';
import { addressCommands, programTrust, vaultIdentity } from '../vault/api/certificate.ts';
import { keysFileName, localKeys } from '../vault/keys-place.ts';

/** Variables that mislead helm, helmfile, vault or sops; those of age are harmless. */
const misleading = /^(?:HELM|HELMFILE|VAULT|SOPS(?!_AGE_KEY))_[A-Z0-9_]+$/;

/**
 * Shell commands that set the variables, after unsetting those of the user (names in `present`) that mislead the same
 * programs. Keeps variables of the tasks, such as SOPS_PGP_KEY_FILE.
 */
export function shellSetup(variables: { readonly [name: string]: string }, present: readonly string[]) {
  const removed = present.filter((name) => misleading.test(name) && !(name in variables)).sort();
  return [
    ...(removed.length > 0 ? [`unset ${removed.join(' ')}`] : []),
    ...Object.entries(variables).map(([name, value]) => `export ${name}=${quote(value)}`),
  ];
}

/**
 * Writes the configuration of Vault's command line and returns its path. A token helper supplies the token, because a
 * printed one ends up in logs and shell histories. Vault runs the helper in a shell, unquoted.
 */
export async function writeVaultConfiguration(environment: Environment): Promise<string> {
  const { root, state, plainState } = environment;
  const path = join(state, 'vault', 'cli.hcl');
  const keys = isShared(environment) ? join(root, keysFileName(environment)) : localKeys(environment);
  const script = join(root, 'vault', 'token-helper.sh');
  await writeWhole(
    join(state, 'vault', 'token-helper'),
    `#!/bin/sh\nKEYS=${quote(keys)} exec sh ${quote(script)} "$@"\n`,
    0o700,
  );
  await writeWhole(path, `token_helper = ${JSON.stringify(join(plainState, 'vault', 'token-helper'))}\n`);
  return path;
}

export async function environmentLines(context: ShellContext): Promise<readonly string[]> {
  const { environment } = context;
  const trust = programTrust({ environment, settings: await loadSettings(environment) });
  const authority = join(environment.root, trust.file);
  if (trust.write !== undefined) await writeWhole(authority, (await vaultIdentity(context)).authority);
  const servers = await providerOf(environment).servers?.(environment);
  const variables: { [name: string]: string } = {
    ...homesOf(environment),
    VAULT_ADDR: `https://127.0.0.1:${servers?.vault ?? 8200}`,
    VAULT_CACERT: authority,
    VAULT_TLS_SERVER_NAME: trust.serverName,
    VAULT_CONFIG_PATH: await writeVaultConfiguration(environment),
    PATH: await toolEnvironment(),
  };
  const lines = shellSetup(variables, leftOut);
  if (servers) return lines;
  const forward = `${kubectlText(environment)} -n vault port-forward svc/vault 8200`;
  return [...lines, `# VAULT_ADDR needs, in another shell: ${forward}`];
}

/** The plain commands of `env`, for `--dry-run`. */
export async function environmentCommands({ environment }: InEnvironment): Promise<readonly string[]> {
  const trust = programTrust({ environment, settings: await loadSettings(environment) });
  const servers = await providerOf(environment).servers?.(environment);
  const vault = `.state/${environment.name}/vault`;
  return [
    exportHomes(environment, 'KUBECONFIG', 'GNUPGHOME', ...helmHomes, 'KWOK_WORKDIR'),
    ...(servers ? [] : [`${kubectlText(environment)} -n vault port-forward svc/vault 8200 &`]),
    ...addressCommands(`https://127.0.0.1:${servers?.vault ?? 8200}`, trust),
    // A token helper, as `env` prints no token.
    `(umask 077; mkdir -p ${vault}; printf '%s\\n' '#!/bin/sh' 'cd -P "$(dirname "$0")/../../.." && KEYS="$PWD/${keysFileName(environment)}" exec sh vault/token-helper.sh "$@"' > ${vault}/token-helper)`,
    `chmod 700 ${vault}/token-helper`,
    `printf 'token_helper = "%s"\\n' ${shellWord(join(environment.plainState, 'vault', 'token-helper'))} > ${vault}/cli.hcl`,
    `export VAULT_CONFIG_PATH="$PWD/${vault}/cli.hcl"`,
  ];
}
