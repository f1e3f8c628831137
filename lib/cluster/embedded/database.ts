import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { MissingToolError, TaskError } from '@k8s-deployment/runner';
import { authorityFile, databaseCertificate } from '../../database/certificate.ts';
import { isPostgresqlReady, isRefusedLogin } from '../../database/login.ts';
import {
  decryptPassword,
  passwordAdvice,
  superuserLogin,
  superuserOf,
  wantedRoles,
  wantedRolesText,
} from '../../database/roles.ts';
import { setUpDatabases } from '../../database/set-up.ts';
import { textIfThere } from '../../ground/if-there.ts';
import { taskCommand } from '../../ground/launcher.ts';
import { shellWords } from '../../ground/shell-words.ts';
import { decryptText } from '../../secrets/encrypted-file.ts';
import type {
  Context,
  Environment,
  EnvironmentContext,
  Outcome,
  Settings,
  Target,
} from '../../settings/context.ts';
import { writeWhole } from '../../settings/environment.ts';
import type { FoundTool } from '../../tools/get-tool.ts';
import { reasonOf } from '../../tools/tool-answer.ts';
import { findTool } from '../../tools/tools.ts';
import { ensureService, inBackground } from './processes.ts';
import { tellLostData, waitForService } from './services.ts';
import { expectedPorts, type Mode, requireState } from './state.ts';

const initdbArguments = (data: string, settings: Settings): readonly string[] => [
  ...['--pgdata', data, '--username', settings.database.user, '--auth', 'scram-sha-256'],
  ...['--encoding', 'UTF8', '--locale', 'C', '--no-sync', '--pwfile', '/dev/stdin'],
];

/** PostgreSQL's rules for client authentication. */
const accessFile = 'charts/postgresql/files/server/pg_hba.conf';

const dataFolder = ({ state }: Environment): string => join(state, 'postgresql', 'data');

function serverArguments(environment: Environment, port: number): readonly string[] {
  const { certificate, key } = databaseCertificate(environment);
  return [
    ...['-D', dataFolder(environment), '-p', String(port), '-c', 'listen_addresses=127.0.0.1'],
    ...['-c', 'unix_socket_directories=', '-c', 'logging_collector=off'],
    ...['-c', 'ssl=on', '-c', 'ssl_min_protocol_version=TLSv1.2'],
    ...['-c', `ssl_cert_file=${certificate}`, '-c', `ssl_key_file=${key}`],
    ...['-c', `hba_file=${join(environment.root, accessFile)}`],
  ];
}

/** The plain commands, for `--dry-run`. */
export async function databaseCommands(target: Target, mode: Mode): Promise<readonly string[]> {
  const { environment, settings } = target;
  const { postgresql } = await expectedPorts(environment);
  const server = ['postgres', ...serverArguments(environment, postgresql)];
  const start = inBackground(environment, 'postgresql', [...(await plainAccount('postgres')), ...server]);
  if (mode === 'start') return [start];
  const decrypt = decryptText(environment.name, superuserOf(settings).secret);
  const initdb = ['initdb', ...initdbArguments(`.state/${environment.name}/postgresql/data`, settings)];
  const { user, name } = settings.database;
  const address = `PGHOST=127.0.0.1 PGSSLMODE=verify-full PGSSLROOTCERT=${authorityFile(target)} PGPORT=${postgresql} PGUSER=${user} PGDATABASE=${name}`;
  const roles = `PGPASSWORD="$(${decrypt})" DATABASE_ROLES="$(${wantedRolesText(environment.name, settings)})"`;
  return [
    `${decrypt} | ${shellWords([...(await plainAccount('initdb')), ...initdb])}`,
    start,
    ...(name === 'postgres' ? [] : [`${address} PGPASSWORD="$(${decrypt})" createdb ${name}`]),
    `${address} ${roles} sh charts/postgresql/files/set-up/set-up.sh`,
  ];
}

/** Starts the real PostgreSQL behind the simulated pod. Creates missing data and roles. */
export async function ensureDatabase(context: Context): Promise<Outcome> {
  const { ports } = await requireState(context.environment);
  const server = await ensureServer(context, ports.postgresql);
  const roles = await ensureRoles(context, ports.postgresql);
  return server === 'changed' ? server : roles;
}

async function ensureServer(context: Context, port: number): Promise<Outcome> {
  const { $, environment } = context;
  const ready = () => isPostgresqlReady('127.0.0.1', port);
  const data = dataFolder(environment);
  const settled = serverArguments(environment, port);
  const back = `${taskCommand('restore-database')} brings back a backup`;
  const outcome = await ensureService(context, {
    name: 'postgresql',
    ports: { postgresql: port },
    ready,
    configuration: JSON.stringify(settled),
    certificate: databaseCertificate(environment).certificate,
    command: async () => {
      await tellLostData(context, 'postgresql', 'postgresql/data', back);
      const server = await findServer(data);
      await initialise(context, server.folder, data);
      const account = await findAccount('postgres', $);
      // The owner changes if the machine starts or stops allowing user namespaces.
      if ((await stat(data)).uid !== account.owner) await $`chown -R ${account.owner} ${data}`;
      // PostgreSQL takes any process with that pid, such as a zombie, for a running server.
      await rm(join(data, 'postmaster.pid'), { force: true });
      return [...account.words, server.path, ...settled];
    },
  });
  await waitForService(context, 'postgresql', ready);
  return outcome;
}

async function initialise(context: Context, programs: string, data: string): Promise<void> {
  const { $, environment, settings } = context;
  if ((await majorOf(data)) !== undefined) return;
  const { secret } = superuserOf(settings);
  const password = await decryptPassword(context, secret);
  // Under another name first: initdb and server refuse the folder of a killed initdb.
  const partial = `${data}.new`;
  await rm(partial, { recursive: true, force: true });
  await rm(rolesMarker(environment.state), { force: true });
  await mkdir(dirname(data), { recursive: true, mode: 0o700 });
  const { words } = await findAccount('initdb', $);
  // Through cat: Node passes a socket as stdin, which cannot be opened as /dev/stdin.
  await $({
    quiet: true,
    input: `${password}\n`,
  })`cat | ${words} ${join(programs, 'initdb')} ${initdbArguments(partial, settings)}`;
  await rename(partial, data);
}

/** The major version of the data; undefined without data. */
const majorOf = async (data: string): Promise<string | undefined> =>
  (await textIfThere(join(data, 'PG_VERSION')))?.trim();

/** A server of the data's major version, since no other can open the data folder. */
async function findServer(data: string): Promise<FoundTool> {
  const major = (await majorOf(data)) ?? '';
  const server = await findTool(
    'postgresql',
    major === '' ? {} : { postgresqlMajor: Number.parseInt(major, 10) },
  );
  if (server) return server;
  throw new MissingToolError({
    what: `the database needs PostgreSQL ${major}, which this machine no longer has`,
    why: 'a data folder belongs to one major version',
    advice: `put PostgreSQL ${major} on PATH, or run ${taskCommand('destroy-environment')} and ${taskCommand('create-environment')}`,
  });
}

/** Path of a file that exists once the data folder has roles and databases. */
const rolesMarker = (state: string): string => join(state, 'postgresql', 'roles-made');

/**
 * Creates roles and databases once, because Vault logs in as one of the roles while releases are still being
 * installed. Later the chart's Job sets them up, as on other clusters.
 */
async function ensureRoles(context: Context, port: number): Promise<Outcome> {
  const { environment, settings } = context;
  const done = rolesMarker(environment.state);
  if ((await textIfThere(done)) !== undefined) return 'unchanged';
  const { name: user, secret } = superuserOf(settings);
  const login = { host: '127.0.0.1', port, ...(await superuserLogin(context)) };
  const wanted = await wantedRoles(context);
  await setUpDatabases((use) => use(login), wanted).catch((error: Error) => {
    throw new TaskError({
      what: `the roles of the database could not be created as \`${user}\``,
      why: error.message,
      advice: isRefusedLogin(error)
        ? passwordAdvice(environment.name, secret)
        : `see .state/${environment.name}/logs/postgresql.log, then run again`,
      cause: error,
    });
  });
  await writeWhole(done, '');
  return 'changed';
}

/** Words to put before a program, and the user id that owns its files. */
type Account = { readonly words: readonly string[]; readonly owner: number };

export type Program = 'initdb' | 'postgres';
type Named = { readonly uid: number; readonly gid: number };

/** A user namespace (user_namespaces(7)): needs no privileges, and outside it the user owns the files. */
const namespaceWords = ({ uid, gid }: Named): readonly string[] => [
  ...['unshare', '--user', `--map-user=${uid}`, `--map-group=${gid}`],
];

/**
 * Another user id that may enter root's folders, which contain programs and data (CAP_DAC_OVERRIDE, capabilities(7)).
 * Without the secure bit, access(2) ignores the capability, and initdb does not find its server.
 */
export const otherUserWords = ({ uid, gid }: Named): readonly string[] => [
  ...['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'],
  ...['--inh-caps=+dac_override', '--ambient-caps=+dac_override', '--securebits=+no_setuid_fixup'],
];

const isRoot = (): boolean => process.getuid?.() === 0;

/** PostgreSQL refuses root; `initdb` also refuses a user id without an account. */
const isRefused = (program: Program): boolean => isRoot() || (program === 'initdb' && !hasAccount());

/** The words for `--dry-run`, untested. */
const plainAccount = async (program: Program): Promise<readonly string[]> =>
  isRefused(program) ? namespaceWords(await namedUser()) : [];

/** The account for a program of PostgreSQL. Throws `TaskError` if PostgreSQL refuses all possible ones. */
export async function findAccount(program: Program, $: EnvironmentContext['$']): Promise<Account> {
  const owner = process.getuid?.() ?? 0;
  if (!isRefused(program)) return { words: [], owner };
  const named = await namedUser();
  const tried: string[] = [];
  const ways = [
    { words: namespaceWords(named), owner },
    ...(isRoot() ? [{ words: otherUserWords(named), owner: named.uid }] : []),
  ];
  for (const account of ways) {
    const output = await $({ quiet: true, nothrow: true })`${account.words} true`;
    if (output.exitCode === 0) return account;
    tried.push(reasonOf(output));
  }
  throw new TaskError({
    what: `${program} does not run as ${isRoot() ? 'root' : `user id ${owner}, which has no account`}`,
    why: tried.join('\n'),
    advice: isRoot()
      ? 'run as another user, or install setpriv of util-linux (Alpine: `apk add setpriv`) and leave root its capabilities'
      : `give it an account (\`useradd --uid ${owner} …\` or a line in /etc/passwd), or allow user namespaces`,
  });
}

function hasAccount(): boolean {
  try {
    userInfo();
    return true;
  } catch {
    return false;
  }
}

/** An account other than root's; almost every machine has `nobody`. */
async function namedUser(): Promise<Named> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const accounts = text.split('\n').map((line) => {
    const [name, , uid, gid] = line.split(':');
    return { name, uid: Number(uid), gid: Number(gid) };
  });
  const others = accounts.filter(({ uid }) => uid > 0);
  return others.find(({ name }) => name === 'nobody') ?? others[0] ?? { uid: 65534, gid: 65534 };
}
