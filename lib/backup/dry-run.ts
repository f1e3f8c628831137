import { dirname, relative } from 'node:path';
import { providerOf } from '../cluster/providers.ts';
import { authorityFile } from '../database/certificate.ts';
import { databasesOf, superuserOf } from '../database/roles.ts';
import { eachAfter, shellWord, shellWords } from '../ground/shell-words.ts';
import { kubectlText } from '../kubernetes/kubectl.ts';
import { decryptText } from '../secrets/encrypted-file.ts';
import { isShared } from '../secrets/shared-file.ts';
import type { Target } from '../settings/context.ts';
import { exportHomes } from '../settings/environment.ts';
import { reopenVaultCommands, snapshotAccessCommands } from '../vault/dry-run.ts';
import { keysFileName, localKeys } from '../vault/keys-place.ts';
import type { Restore } from './database.ts';
import { dumpWords, inPod, localVariables, ownerOptions, restoreWords } from './database-programs.ts';
import { scratch } from './database-server.ts';
import { newPlaceText } from './place.ts';
import { accountTokenWords, backupLogin, encryptionWords } from './vault.ts';

/* Plain commands for `--dry-run`. Passwords are passed by variables and stdin, never as arguments. */

export async function backupDatabaseCommands(target: Target, named: string | undefined) {
  const { environment, settings } = target;
  const { before, run, user, isPod } = await databaseAccess(target);
  const databases = databasesOf(settings);
  const restore = [...restoreWords(scratch, scratch), ...ownerOptions(isPod)];
  return [
    ...before,
    `umask 077; folder=${newPlaceText(environment, 'database', named)}; mkdir -p "$folder"`,
    `owner="$(openssl rand -hex 16)"; echo "CREATE ROLE ${scratch} LOGIN PASSWORD '$owner'" > "$folder"/role.sql`,
    run(['psql', `--username=${user}`, `--dbname=${settings.database.name}`], { from: '"$folder"/role.sql' }),
    ...databases.flatMap((name) => [
      run(dumpWords(user, name), { to: `"$folder"/${name}.dump` }),
      run(['createdb', `--username=${user}`, `--owner=${scratch}`, scratch]),
      `(PGPASSWORD="$owner"; ${run(restore, { from: `"$folder"/${name}.dump` })})`,
      run(['dropdb', '--force', `--username=${user}`, scratch]),
    ]),
    `${run(['dropuser', `--username=${user}`, scratch])}; rm "$folder"/role.sql`,
  ];
}

export async function restoreDatabaseCommands(target: Target, { folder, databases, replace }: Restore) {
  const { before, run, user } = await databaseAccess(target);
  const names = databases.length > 0 ? databases : databasesOf(target.settings);
  return [
    ...before,
    ...(replace ? [] : ['# only for databases that are empty: without --replace, the task refuses others']),
    ...names.map((name) =>
      eachAfter([
        run(['createdb', `--username=${user}`, `--owner=${name}`, scratch]),
        run(restoreWords(user, scratch), { from: `${shellWord(folder)}/${name}.dump` }),
        run(['dropdb', '--if-exists', '--force', `--username=${user}`, name]),
        run([
          'psql',
          `--username=${user}`,
          `--dbname=${target.settings.database.name}`,
          '--command',
          `REVOKE CONNECT, TEMPORARY ON DATABASE ${scratch} FROM PUBLIC; ALTER DATABASE ${scratch} RENAME TO "${name}"`,
        ]),
      ]),
    ),
  ];
}

type Streams = { readonly from?: string; readonly to?: string };

/** How plain commands reach the server: in its pod, or by the variables of libpq. */
async function databaseAccess(target: Target) {
  const { environment, settings } = target;
  const { user, host } = settings.database;
  const servers = await providerOf(environment).servers?.(environment);
  const password = `PGPASSWORD="$(${decryptText(environment.name, superuserOf(settings).secret)})"`;
  const variables = Object.entries(localVariables(host, servers?.postgresql ?? 0, '')).map(([name, value]) =>
    name === 'PGSSLROOTCERT' ? `${name}=${authorityFile(target)}` : `${name}=${shellWord(value)}`,
  );
  return {
    ...{ user, isPod: servers === undefined },
    before: [
      exportHomes(environment, 'GNUPGHOME'),
      servers ? `export ${password} ${variables.join(' ')}` : password,
    ],
    run: (words: readonly string[], { from, to }: Streams = {}) =>
      [
        servers
          ? `${shellWords(words)}${from ? ` < ${from}` : ''}`
          : `printf '%s\\n' "$PGPASSWORD" | ${from ? `cat - ${from} | ` : ''}${kubectlText(environment)} ${shellWords(inPod(words))}`,
        ...(to ? [`> ${to}`] : []),
      ].join(' '),
  };
}

export async function backupVaultCommands(target: Target, named: string | undefined) {
  const { environment } = target;
  const { path, role } = backupLogin;
  const withoutTokens = shellWords([
    ...['node', '-e'],
    'const { unseal_keys_b64, recovery_keys_b64 } = JSON.parse(fs.readFileSync(0)); console.log(JSON.stringify({ unseal_keys_b64, recovery_keys_b64 }))',
  ]);
  return [
    ...(await snapshotAccessCommands(target)),
    `export VAULT_TOKEN="$(${kubectlText(environment)} ${shellWords(accountTokenWords)} | vault write -field=token ${path} role=${role} jwt=-)"`,
    `umask 077; folder=${newPlaceText(environment, 'vault', named)}; mkdir -p "$folder"`,
    'vault operator raft snapshot save "$folder"/raft.snap',
    'vault operator raft snapshot inspect "$folder"/raft.snap',
    exportHomes(environment, 'GNUPGHOME'),
    `${keysText(target)} | ${withoutTokens} | ${shellWords(encryptionWords(environment.name))} > "$folder"/keys.yaml`,
  ];
}

/** Prints Vault's keys. */
const keysText = ({ environment }: Target): string =>
  `${isShared(environment) ? 'sops decrypt --output-type json' : 'cat'} ${shellWord(keysFileName(environment))}`;

export async function restoreVaultCommands(target: Target, folder: string): Promise<readonly string[]> {
  const { environment } = target;
  const path = relative(environment.root, localKeys(environment));
  const [keys, next] = [shellWord(path), shellWord(`${path}.next`)];
  const place = shellWord(folder);
  return [
    exportHomes(environment, 'GNUPGHOME'),
    ...(await snapshotAccessCommands(target)),
    '# with a root token, which `vault operator generate-root` creates: export VAULT_TOKEN=…',
    eachAfter([
      `(umask 077; mkdir -p ${shellWord(dirname(path))}; sops decrypt --output-type json ${place}/keys.yaml > ${next})`,
      `vault operator raft snapshot restore -force ${place}/raft.snap`,
      `mv ${next} ${keys}`,
    ]),
    ...(await reopenVaultCommands(target)),
    '# then the commands of init-vault, as far as Vault differs',
  ];
}
