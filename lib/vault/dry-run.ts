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
    `export VAULT_ADDR=${quote(input.address)}`,
    `(umask 077; vault operator init -key-shares=1 -key-threshold=1 -format=json > ${quote(keysPath)})`,
    `${fromKeysFile(keysPath, 'unseal_keys_b64[0]')} | vault write sys/unseal key=-`,
    `export VAULT_TOKEN="$(${fromKeysFile(keysPath, 'root_token')})"`,
    ...state.policies.map(({ name, file }) => `vault policy write ${quote(name)} ${quote(file)}`),
    ...state.mounts.map(engineCommand),
    ...state.mounts.flatMap(({ path, keys }) =>
      keys.map((key) => `vault write -f ${quote(`${path}/keys/${key.name}`)} type=${quote(key.type)}`),
    ),
    ...state.keyValues.map((secret) => secretCommand(secret, input)),
    ...state.auth.flatMap((mount) => [
      `vault auth enable -path=${quote(mount.path)}${tuning(mount)} kubernetes`,
      configCommand(mount, kubernetes),
      ...mount.roles.map((role) => roleCommand(mount, role)),
    ]),
  ];
}

function engineCommand(mount: Mount): string {
  const version = mount.version === undefined ? '' : ` -version=${mount.version}`;
  return `vault secrets enable -path=${quote(mount.path)}${version}${tuning(mount)} ${quote(mount.type)}`;
}

function tuning(mount: Mount | AuthMount): string {
  const maxTtl = mount.maxTtlSeconds === undefined ? '' : ` -max-lease-ttl=${mount.maxTtlSeconds}s`;
  return ` -description=${quote(mount.description)}${maxTtl}`;
}

function secretCommand(secret: KeyValues, { environment, settings }: VaultCommandsInput): string {
  let pipe = '';
  const values = secret.values.map(({ name, from }) => {
    if ('setting' in from) return `${name}=${quote(settingText(from.setting, settings))}`;
    const file = quote(`environments/${environment}/secrets/${from.file}`);
    const decrypt = `sops decrypt --extract ${quote(`["${from.key}"]`)} ${file}`;
    // There is one stdin; further secrets come by a file descriptor, which bash and zsh can do.
    if (pipe !== '') return `${name}=@<(${decrypt})`;
    pipe = `${decrypt} | `;
    return `${name}=-`;
  });
  return `${pipe}vault kv put -mount=${quote(secret.mount)} ${quote(secret.path)} ${values.join(' ')}`;
}

function configCommand(mount: AuthMount, kubernetes: VaultCommandsInput['kubernetes']): string {
  const { host, caCertificateFile, reviewerTokenCommand } = kubernetes;
  const pipe = reviewerTokenCommand === undefined ? '' : `${reviewerTokenCommand} | `;
  const certificate =
    caCertificateFile === undefined ? '' : ` kubernetes_ca_cert=@${quote(caCertificateFile)}`;
  const reviewer =
    reviewerTokenCommand === undefined ? '' : ' disable_local_ca_jwt=true token_reviewer_jwt=-';
  return `${pipe}vault write ${quote(`auth/${mount.path}/config`)} kubernetes_host=${quote(host)}${certificate}${reviewer}`;
}

function roleCommand(mount: AuthMount, role: Role): string {
  return [
    `vault write ${quote(`auth/${mount.path}/role/${role.name}`)}`,
    `bound_service_account_names=${quote(role.serviceAccounts.join(','))}`,
    `bound_service_account_namespaces=${quote(role.namespaces.join(','))}`,
    `audience=${quote(role.audience)}`,
    `token_policies=${quote(role.policies.join(','))}`,
    `token_ttl=${role.ttlSeconds}s`,
  ].join(' ');
}

/** Node is there in any case, jq may not be. */
function fromKeysFile(keysPath: string, field: string): string {
  const script = `process.stdout.write(JSON.parse(fs.readFileSync(process.argv[1])).${field})`;
  return `node -e ${quote(script)} ${quote(keysPath)}`;
}

function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
