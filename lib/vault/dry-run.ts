import { dirname } from 'node:path';
import { shellWord } from '../shell-words.ts';
import { settingText, type ValueSources } from './key-values.ts';
import type { AuthMount, DesiredState, KeyValues, Mount, Role } from './state.ts';

export type VaultCommandsInput = {
  readonly state: DesiredState;
  /** Names the folder `environments/<environment>/secrets/`. */
  readonly environment: string;
  readonly address: string;
  readonly keysPath: string;
  readonly settings: ValueSources['settings'];
  readonly kubernetes: {
    readonly host: string;
    /** Left out for a Vault in a pod, as in `KubernetesAccess`. */
    readonly caCertificateFile?: string;
    /** A command that prints the reviewer's token. */
    readonly reviewerTokenCommand?: string;
  };
};

/**
 * The plain commands `init-vault` stands for on a new Vault, one per line for a POSIX shell. No secret is in them: keys
 * and passwords go from the program that has them to `vault` by stdin, never as an argument.
 */
export function vaultCommands(input: VaultCommandsInput): string[] {
  const { state, keysPath, kubernetes } = input;
  return [
    `export VAULT_ADDR=${shellWord(input.address)}`,
    waitForVault,
    `(umask 077; mkdir -p ${shellWord(dirname(keysPath))}; vault operator init -key-shares=1 -key-threshold=1 -format=json > ${shellWord(keysPath)})`,
    unsealCommand(keysPath),
    tokenCommand(keysPath),
    ...state.policies.map(({ name, file }) => `vault policy write ${shellWord(name)} ${shellWord(file)}`),
    ...state.mounts.map(engineCommand),
    ...state.mounts.flatMap(({ path, keys }) =>
      keys.map(
        (key) => `vault write -f ${shellWord(`${path}/keys/${key.name}`)} type=${shellWord(key.type)}`,
      ),
    ),
    ...state.keyValues.map((secret) => secretCommand(secret, input)),
    ...state.auth.flatMap((mount) => [
      `vault auth enable -path=${shellWord(mount.path)}${tuning(mount)} kubernetes`,
      configCommand(mount, kubernetes),
      ...mount.roles.map((role) => roleCommand(mount, role)),
    ]),
  ];
}

/** `vault status` answers 1 as long as there is nobody to answer, and 2 for a sealed Vault. */
const waitForVault = 'until vault status > /dev/null 2>&1; [ $? -ne 1 ]; do sleep 1; done';

const unsealCommand = (keysPath: string): string =>
  `${fromKeysFile(keysPath, 'unseal_keys_b64[0]')} | vault write sys/unseal key=-`;

/** Lets `vault` be used with the root token of the keys file. */
export const tokenCommand = (keysPath: string): string =>
  `export VAULT_TOKEN="$(${fromKeysFile(keysPath, 'root_token')})"`;

/** The plain commands that open a sealed Vault again. */
export const unsealCommands = (address: string, keysPath: string): string[] => [
  `export VAULT_ADDR=${shellWord(address)}`,
  waitForVault,
  unsealCommand(keysPath),
];

function engineCommand(mount: Mount): string {
  const version = mount.version === undefined ? '' : ` -version=${mount.version}`;
  return `vault secrets enable -path=${shellWord(mount.path)}${version}${tuning(mount)} ${shellWord(mount.type)}`;
}

function tuning(mount: Mount | AuthMount): string {
  const maxTtl = mount.maxTtlSeconds === undefined ? '' : ` -max-lease-ttl=${mount.maxTtlSeconds}s`;
  return ` -description=${shellWord(mount.description)}${maxTtl}`;
}

function secretCommand(secret: KeyValues, { environment, settings }: VaultCommandsInput): string {
  let pipe = '';
  const values = secret.values.map(({ name, from }) => {
    if ('setting' in from) return `${name}=${shellWord(settingText(from.setting, settings))}`;
    const file = shellWord(`environments/${environment}/secrets/${from.file}`);
    const decrypt = `sops decrypt --extract ${shellWord(`["${from.key}"]`)} ${file}`;
    // There is one stdin; further secrets come by a file descriptor, which bash and zsh can do.
    if (pipe !== '') return `${name}=@<(${decrypt})`;
    pipe = `${decrypt} | `;
    return `${name}=-`;
  });
  return `${pipe}vault kv put -mount=${shellWord(secret.mount)} ${shellWord(secret.path)} ${values.join(' ')}`;
}

function configCommand(mount: AuthMount, kubernetes: VaultCommandsInput['kubernetes']): string {
  const { host, caCertificateFile, reviewerTokenCommand } = kubernetes;
  const pipe = reviewerTokenCommand === undefined ? '' : `${reviewerTokenCommand} | `;
  const certificate =
    caCertificateFile === undefined ? '' : ` kubernetes_ca_cert=@${shellWord(caCertificateFile)}`;
  const reviewer =
    reviewerTokenCommand === undefined ? '' : ' disable_local_ca_jwt=true token_reviewer_jwt=-';
  return `${pipe}vault write ${shellWord(`auth/${mount.path}/config`)} kubernetes_host=${shellWord(host)}${certificate}${reviewer}`;
}

function roleCommand(mount: AuthMount, role: Role): string {
  return [
    `vault write ${shellWord(`auth/${mount.path}/role/${role.name}`)}`,
    `bound_service_account_names=${shellWord(role.serviceAccounts.join(','))}`,
    `bound_service_account_namespaces=${shellWord(role.namespaces.join(','))}`,
    `audience=${shellWord(role.audience)}`,
    `token_policies=${shellWord(role.policies.join(','))}`,
    `token_ttl=${role.ttlSeconds}s`,
  ].join(' ');
}

/** Node is there in any case, jq may not be. */
function fromKeysFile(keysPath: string, field: string): string {
  const script = `process.stdout.write(JSON.parse(fs.readFileSync(process.argv[1])).${field})`;
  return `node -e ${shellWord(script)} ${shellWord(keysPath)}`;
}
