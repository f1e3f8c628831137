import { dirname, relative } from 'node:path';
import { providerOf } from '../cluster/providers.ts';
import { authorityFile } from '../database/certificate.ts';
import { eachAfter, shellWord, shellWords } from '../ground/shell-words.ts';
import type { Tree } from '../ground/tree.ts';
import { kubectlText } from '../kubernetes/kubectl.ts';
import { encryption } from '../secrets/encrypt.ts';
import { decryptText } from '../secrets/encrypted-file.ts';
import { isShared } from '../secrets/shared-file.ts';
import type { Target } from '../settings/context.ts';
import { addressCommands, type ProgramTrust, programTrust } from './api/certificate.ts';
import { connectionValues, roleOf } from './api/connections.ts';
import { settingText } from './api/key-values.ts';
import type { AuthMount, DesiredState, KeyValues, Mount, Policy } from './api/state-schema.ts';
import type { Written } from './api/vault-object.ts';
import { desiredState, inClusterApi, reviewerWords, vaultSettings } from './desired.ts';
import { keysFileName, localKeys } from './keys-place.ts';
import { vaultSelector } from './replicas.ts';

/** A command with each value quoted as one word of the shell. */
const line = (texts: TemplateStringsArray, ...values: readonly string[]): string =>
  String.raw({ raw: texts }, ...values.map(shellWord));

/** How plain commands reach Vault, and what they write that is not in its desired state. */
type PlainInput = {
  /** Names the folder `environments/<environment>/secrets/`. */
  readonly environment: string;
  readonly address: string;
  readonly trust: ProgramTrust;
  readonly keysPath: string;
  /** The encrypted file that takes the keys over. */
  readonly shared?: string;
  /** `kubectl` with its cluster's options; undefined if Vault is a process on this machine. */
  readonly kubectl?: string;
  /** The authority of the database's certificate: a bash word that names a file. */
  readonly databaseAuthorityFile: string;
  readonly settings: Tree;
  readonly kubernetes: {
    readonly host: string;
    /** Undefined for a Vault in a pod, as in `KubernetesAccess`. */
    readonly caCertificateFile?: string;
    /** A command that prints the reviewer's token. */
    readonly reviewerTokenCommand?: string;
  };
};

type InitInput = PlainInput & { readonly state: DesiredState };

async function plainInput(target: Target): Promise<PlainInput> {
  const { environment, settings } = target;
  const servers = await providerOf(environment).servers?.(environment);
  const kubectl = kubectlText(environment);
  const input = {
    environment: environment.name,
    address: servers?.settings.address ?? 'https://127.0.0.1:8200',
    trust: programTrust(target),
    keysPath: relative(environment.root, localKeys(environment)),
    databaseAuthorityFile: authorityFile(target),
    settings: vaultSettings(settings, servers?.settings),
  };
  if (servers) {
    const reviewerTokenCommand = `${kubectl} ${reviewerWords.token.join(' ')}`;
    return { ...input, kubernetes: { ...servers.api, reviewerTokenCommand } };
  }
  const shared = isShared(environment) ? { shared: keysFileName(environment) } : {};
  return { ...input, ...shared, kubectl, kubernetes: inClusterApi };
}

const initInput = async (target: Target): Promise<InitInput> => ({
  ...(await plainInput(target)),
  state: await desiredState(target.environment),
});

/** The plain commands of `init-vault`, for `--dry-run`. */
export const initVaultCommands = async (target: Target) => initCommands(await initInput(target));

/**
 * Plain commands of `init-vault` on a new Vault, one per line for bash. Secrets reach `vault` by stdin,
 * never as an argument.
 */
export function initCommands(input: InitInput): string[] {
  const { state, keysPath, shared, kubectl, kubernetes, settings } = input;
  const init = 'vault operator init -key-shares=1 -key-threshold=1 -format=json';
  const exec = kubectl === undefined ? '' : `${kubectl} -n vault exec vault-0 -- `;
  const keys = shellWord(keysPath);
  const exist = [keysPath, ...(shared === undefined ? [] : [shared])].map((file) => line`[ -s ${file} ]`);
  const initialise = `${exist.join(' || ')} || (umask 077; mkdir -p ${shellWord(dirname(keysPath))}; ${exec}${init} > ${keys})`;
  const opened =
    kubectl === undefined
      ? [...reach(input), initialise, unsealCommand(input)]
      : [initialise, unsealCommand(input), ...reach(input)];
  return [
    ...opened,
    // A leader is elected after the unseal.
    `while vault status | grep -q 'HA Cluster *n/a'; do sleep 1; done`,
    // A Vault that is set up has none; what follows would revoke the operator's token, and lose the keys.
    tokenCommand(fromKeys(input, 'root_token || ""')),
    'if [ -n "$VAULT_TOKEN" ]; then',
    ...state.audit.map(({ path, description, file }) => {
      const target = settingText(file.setting, settings);
      return line`vault audit enable -path=${path} -description=${description} file file_path=${target}`;
    }),
    ...operatorTokenCommands(state.operator, keysPath),
    ...sharedCommands(input),
    'fi',
    tokenCommand(fromKeys(input, 'admin_token')),
    ...state.policies.map(policyCommand),
    ...state.mounts.map(engineCommand),
    ...state.mounts.flatMap(({ path, keys }) =>
      keys.map(({ name, type }) => line`vault write -f ${`${path}/keys/${name}`} type=${type}`),
    ),
    ...state.keyValues.map((secret) => secretCommand(secret, input)),
    ...state.auth.flatMap((mount) => [
      `vault auth enable -path=${shellWord(mount.path)}${tuning(mount)} kubernetes`,
      configCommand(mount, kubernetes),
      ...mount.roles.map((role) => writeCommand(roleOf(mount, role))),
    ]),
    ...state.mounts.flatMap(({ logins }) => logins.map((role) => writeCommand(role))),
    ...connectionCommands(input),
  ];
}

/** The plain commands of `init-vault` after a rotation of database passwords, for `--dry-run`. */
export async function vaultLoginCommands(target: Target): Promise<string[]> {
  const input = await initInput(target);
  return [...reach(input), tokenCommand(fromKeys(input, 'admin_token')), ...connectionCommands(input)];
}

/** Tries a command until it succeeds, at most this often, with its errors shown. */
const retried = (command: string): string =>
  `for attempt in $(seq 120); do ${command} && break; sleep 1; done`;

/** `vault status` exits with 1 until Vault answers, with 2 if it is sealed. */
const waitForVault = retried('vault status > /dev/null || [ $? -eq 2 ]');

/**
 * The plain commands before those of snapshots, for `--dry-run`. Only the active replica has them: the others redirect
 * to an address of the cluster. Applications use its Service, too, which only a Vault with several replicas has.
 */
export async function snapshotAccessCommands(target: Target): Promise<string[]> {
  const [service] = new URL(target.settings.vault.address).hostname.split('.');
  return reach(await plainInput(target), service === 'vault-active' ? service : 'vault');
}

const reach = ({ address, trust, kubectl }: PlainInput, service = 'vault'): string[] => [
  ...(kubectl === undefined
    ? []
    : [
        `${kubectl} -n vault port-forward svc/${service} 8200 & # leave it running for the following commands`,
      ]),
  ...addressCommands(address, trust),
  waitForVault,
];

/**
 * Unseals each replica, on demand after its restart; a joining one accepts the key only after it has found the others.
 */
function unsealCommand(access: PlainInput, { restart = false } = {}): string {
  const { kubectl } = access;
  const key = fromKeys(access, 'unseal_keys_b64[0]');
  if (kubectl === undefined) return `${key} | vault write sys/unseal key=-`;
  const list = `${kubectl} -n vault get pods --selector ${shellWord(vaultSelector)} --output name`;
  const unseal = `${key} | ${kubectl} -n vault exec -i "$pod" -- vault write sys/unseal key=-`;
  const first = restart ? `${kubectl} -n vault delete "$pod"; ` : '';
  return `for pod in $(${list} | sort); do ${first}${retried(unseal)}; done`;
}

/** Sets the token that a command prints for `vault`. */
const tokenCommand = (command: string): string => `export VAULT_TOKEN="$(${command})"`;

/** The plain commands that unseal Vault, for `--dry-run`. */
export async function unsealVaultCommands(target: Target): Promise<string[]> {
  const access = await plainInput(target);
  return [...(access.kubectl === undefined ? reach(access) : []), unsealCommand(access)];
}

/**
 * The plain commands that open Vault after a restore, for `--dry-run`: it restores the snapshot after its answer, and
 * seals itself if the keys are others. A replica that missed that cannot follow until it is restarted.
 */
export async function reopenVaultCommands(target: Target): Promise<string[]> {
  const access = await plainInput(target);
  return [
    'for second in $(seq 60); do vault status > /dev/null 2>&1; [ $? -ne 2 ] || break; sleep 1; done',
    unsealCommand(access, { restart: true }),
    ...sharedCommands(access),
  ];
}

/** The root token creates the operator's token, which replaces it in the keys file, and is revoked. */
function operatorTokenCommands({ policy, period }: DesiredState['operator'], keysPath: string): string[] {
  const script = [
    'const [, file] = process.argv, keys = JSON.parse(fs.readFileSync(file))',
    'keys.admin_token = JSON.parse(fs.readFileSync(0)).auth.client_token',
    'delete keys.root_token',
    'fs.writeFileSync(file, JSON.stringify(keys, null, 2))',
  ].join('; ');
  const options = line`-orphan -no-default-policy -policy=${policy.name} -period=${`${period}s`} -display-name=init-vault`;
  return [
    policyCommand(policy),
    `vault token create ${options} -format=json | ${line`node -e ${script} ${keysPath}`}`,
    'vault token revoke -self',
  ];
}

/** Encrypts the keys for all who share the cluster. */
function sharedCommands({ environment, keysPath, shared }: PlainInput): string[] {
  if (shared === undefined) return [];
  const script = `process.stdout.write(JSON.stringify({ environment: process.argv[2], ...JSON.parse(fs.readFileSync(process.argv[1])) }))`;
  return [
    line`mkdir -p ${dirname(shared)}`,
    eachAfter([
      `${line`node -e ${script} ${keysPath} ${environment}`} | sops ${shellWords(encryption(shared))} --output ${shellWord(shared)} /dev/stdin`,
      line`rm ${keysPath}`,
    ]),
  ];
}

function policyCommand({ name, files, values }: Policy): string {
  const paths = shellWords(files);
  if (values === undefined) return `${line`vault policy write ${name}`} ${paths}`;
  const edits = Object.entries(values).map(([key, value]) => `-e ${shellWord(`s|\\\${${key}}|${value}|g`)}`);
  return `sed ${edits.join(' ')} ${paths} | ${line`vault policy write ${name} -`}`;
}

function engineCommand(mount: Mount): string {
  const version = mount.version === undefined ? '' : ` -version=${mount.version}`;
  return `vault secrets enable -path=${shellWord(mount.path)}${version}${tuning(mount)} ${shellWord(mount.type)}`;
}

function tuning(mount: Mount | AuthMount): string {
  const maxTtl = mount.maxTtl === undefined ? '' : ` -max-lease-ttl=${mount.maxTtl}s`;
  return ` -description=${shellWord(mount.description)}${maxTtl}`;
}

function secretCommand(secret: KeyValues, { environment, settings }: PlainInput): string {
  let pipe = '';
  const values = secret.values.map(({ name, from }) => {
    if ('setting' in from) return `${name}=${shellWord(settingText(from.setting, settings))}`;
    const decrypt = decryptText(environment, from);
    // stdin takes one secret; further ones need a file descriptor, which works in bash and zsh.
    if (pipe !== '') return `${name}=@<(${decrypt})`;
    pipe = `${decrypt} | `;
    return `${name}=-`;
  });
  return `${pipe}vault kv put -mount=${shellWord(secret.mount)} ${shellWord(secret.path)} ${values.join(' ')}`;
}

function connectionCommands(input: InitInput): string[] {
  const { state, environment, settings, databaseAuthorityFile } = input;
  const elsewhere = { password: '-', tls_ca: `@${databaseAuthorityFile}` };
  return state.mounts.flatMap((mount) =>
    mount.connections.map((connection) => {
      const path = `${mount.path}/config/${connection.name}`;
      const write = writeCommand({ path, values: connectionValues(mount, connection, settings) }, elsewhere);
      return `${decryptText(environment, connection.password)} | ${write}`;
    }),
  );
}

/** `words`: values that are already quoted for the shell. */
function writeCommand({ path, values }: Written, words: { readonly [name: string]: string } = {}): string {
  const options = Object.entries(values).flatMap(([name, value]) => {
    // A repeated name is a list; SQL may contain commas.
    const list = name.endsWith('_statements') ? (value as readonly unknown[]) : [value];
    const unit = name.endsWith('ttl') ? 's' : '';
    return list.map((item) => `${name}=${words[name] ?? shellWord(`${item}${unit}`)}`);
  });
  return ['vault write', shellWord(path), ...options].join(' ');
}

function configCommand({ path }: AuthMount, kubernetes: PlainInput['kubernetes']): string {
  const { host, caCertificateFile, reviewerTokenCommand } = kubernetes;
  const values = {
    kubernetes_host: host,
    ...(caCertificateFile && { kubernetes_ca_cert: `@${caCertificateFile}` }),
    ...(reviewerTokenCommand && { disable_local_ca_jwt: true, token_reviewer_jwt: '-' }),
  };
  const write = writeCommand({ path: `auth/${path}/config`, values });
  return reviewerTokenCommand === undefined ? write : `${reviewerTokenCommand} | ${write}`;
}

/** Prints a value of Vault's keys. Uses Node, which is always installed, instead of jq. */
function fromKeys({ keysPath, shared }: PlainInput, field: string): string {
  const print = (source: string): string =>
    `process.stdout.write(JSON.parse(fs.readFileSync(${source})).${field})`;
  if (shared === undefined) return line`node -e ${print('process.argv[1]')} ${keysPath}`;
  return line`{ cat ${keysPath} 2> /dev/null || sops decrypt --output-type json ${shared}; } | node -e ${print('0')}`;
}
