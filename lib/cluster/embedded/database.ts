import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { authorityFile, databaseCertificate, serverIdentity } from '../../database/certificate.ts';
import { isRefusedLogin } from '../../database/login.ts';
import { decryptPassword } from '../../database/password.ts';
import { passwordAdvice } from '../../database/password-advice.ts';
import { isPostgresqlReady } from '../../database/postgresql.ts';
import { decryptText, superuserOf, wantedRoles, wantedRolesText } from '../../database/roles.ts';
import { setUpDatabases } from '../../database/set-up.ts';
import { ifThere, textIfThere } from '../../ground/if-there.ts';
import { taskCommand } from '../../ground/launcher.ts';
import type { Outcome } from '../../ground/outcome.ts';
import { root } from '../../ground/project.ts';
import { shellWords } from '../../ground/shell-words.ts';
import { MissingToolError, TaskError } from '../../runner/runner.ts';
import type { Context, Target } from '../../settings/context.ts';
import { type Environment, writeWhole } from '../../settings/environment.ts';
import type { Settings } from '../../settings/settings.ts';
import { type FoundTool, findTool } from '../../tools/tools.ts';
import { findAccount, plainAccount } from './account.ts';
import { clearService, inBackground, isUp, launchService } from './launch.ts';
import { isAlive, readServices } from './services.ts';
import { expectedPorts, requireState } from './state.ts';

const initdbArguments = (data: string, settings: Settings): readonly string[] => [
  ...['--pgdata', data, '--username', settings.database.user, '--auth', 'scram-sha-256'],
  ...['--encoding', 'UTF8', '--locale', 'C', '--no-sync', '--pwfile', '/dev/stdin'],
];

type ServerFiles = { readonly certificate: string; readonly key: string; readonly access: string };

/** Who may connect and how: the chart's own file. */
const accessFile = 'charts/postgresql/files/server/pg_hba.conf';

const serverArguments = (data: string, port: number, files: ServerFiles): readonly string[] => [
  ...['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1'],
  ...['-c', 'unix_socket_directories=', '-c', 'logging_collector=off'],
  ...['-c', 'ssl=on', '-c', 'ssl_min_protocol_version=TLSv1.2'],
  ...['-c', `ssl_cert_file=${files.certificate}`, '-c', `ssl_key_file=${files.key}`],
  ...['-c', `hba_file=${files.access}`],
];

const serverFiles = (environment: Environment): ServerFiles => ({
  ...databaseCertificate(environment),
  access: join(root, accessFile),
});

/** Says that the data has had its roles and databases once. */
const rolesMade = (state: string): string => join(state, 'postgresql', 'roles-made');

/** The plain commands, for `--dry-run`. */
export async function databaseCommands(target: Target, mode: 'create' | 'start'): Promise<readonly string[]> {
  const { environment, settings } = target;
  const data = `.state/${environment.name}/postgresql/data`;
  const decrypt = decryptText(environment.name, superuserOf(settings).secret);
  const { postgresql } = await expectedPorts(environment);
  const initialise = shellWords([
    ...(await plainAccount('initdb')),
    'initdb',
    ...initdbArguments(data, settings),
  ]);
  const server = serverArguments(
    join(environment.state, 'postgresql', 'data'),
    postgresql,
    serverFiles(environment),
  );
  const { user, name } = settings.database;
  const address = `PGHOST=127.0.0.1 PGSSLMODE=verify-full PGSSLROOTCERT=${authorityFile(target)} PGPORT=${postgresql} PGUSER=${user} PGDATABASE=${name}`;
  const roles = `PGPASSWORD="$(${decrypt})" DATABASE_ROLES="$(${wantedRolesText(environment.name, settings)})"`;
  return [
    ...(mode === 'create' ? [`${decrypt} | ${initialise}`] : []),
    inBackground(environment, 'postgresql', [...(await plainAccount('postgres')), 'postgres', ...server]),
    ...(mode === 'create' ? [`${address} ${roles} sh charts/postgresql/files/set-up/set-up.sh`] : []),
  ];
}

/** Makes the data folder when there is none, and starts the real PostgreSQL behind the simulated pod. */
export async function ensureDatabase(context: Context): Promise<Outcome> {
  const started = await ensureServer(context);
  const made = await ensureRoles(context);
  return started === 'changed' ? started : made;
}

async function ensureServer(context: Context): Promise<Outcome> {
  const { $, environment } = context;
  const { ports } = await requireState(environment);
  const ready = () => isPostgresqlReady('127.0.0.1', ports.postgresql);
  const data = join(environment.state, 'postgresql', 'data');
  const files = serverFiles(environment);
  const settled = serverArguments(data, ports.postgresql, files);
  const wanted = {
    started: digestOf(JSON.stringify(settled)),
    certificate: await certificateDigest(environment),
  };
  const known = await readRecord(environment);
  // A server that was started in another way is started anew.
  if (known.started === wanted.started && (await isUp(environment, 'postgresql', ready))) {
    if (known.certificate === wanted.certificate) return 'unchanged';
    // The run that renewed it was killed before it told the server.
    await reloadDatabase(environment);
    return 'changed';
  }
  const server = await findServer(data);
  await initialise(context, server.folder, data);
  const account = await findAccount('postgres', $);
  // It was another one where a user namespace was refused then and is not now, or the other way round.
  if ((await stat(data)).uid !== account.owner) await $`chown -R ${account.owner} ${data}`;
  await writeRecord(environment, wanted);
  return launchService(context, {
    name: 'postgresql',
    program: server.path,
    command: [...account.words, server.path, ...settled],
    ports: { postgresql: ports.postgresql },
    ready,
    // PostgreSQL takes any process of the pid in it for its own: one that nobody reaps, or another one by now.
    prepare: () => rm(join(data, 'postmaster.pid'), { force: true }),
  });
}

/** Has a server that runs read its certificate and key again (SIGHUP); sessions that are open live on. */
export async function reloadDatabase(environment: Environment): Promise<void> {
  const certificate = await certificateDigest(environment);
  const service = (await readServices(environment.state)).find(({ name }) => name === 'postgresql');
  if (service === undefined || !(await isAlive(service))) return;
  process.kill(service.pid, 'SIGHUP');
  await writeRecord(environment, { ...(await readRecord(environment)), certificate });
}

/** Digests of the command line of the server, and of the certificate that it has read last. */
type ServerRecord = { readonly started?: string; readonly certificate?: string };

const recordFile = (state: string): string => join(state, 'postgresql', 'server.json');

async function readRecord({ state }: Environment): Promise<ServerRecord> {
  try {
    return (JSON.parse(await readFile(recordFile(state), 'utf8')) as ServerRecord | null) ?? {};
  } catch {
    // Not there or damaged: the server is started anew.
    return {};
  }
}

async function writeRecord({ state }: Environment, record: ServerRecord): Promise<void> {
  await writeWhole(recordFile(state), `${JSON.stringify(record)}\n`);
}

const digestOf = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');

const certificateDigest = async (environment: Environment): Promise<string> =>
  digestOf(await readFile(serverFiles(environment).certificate));

/**
 * Makes roles and databases once: Vault logs in as one of them, and is set up while the releases are still being installed. From
 * then on the chart's Job does it, as everywhere.
 */
async function ensureRoles(context: Context): Promise<Outcome> {
  const { environment, settings } = context;
  const done = rolesMade(environment.state);
  if ((await ifThere(readFile(done), done)) !== undefined) return 'unchanged';
  const { ports } = await requireState(environment);
  const { name: user, database, secret } = superuserOf(settings);
  const password = await decryptPassword(context, secret);
  const identity = await serverIdentity(context);
  const login = { host: '127.0.0.1', port: ports.postgresql, user, password, database, identity };
  const wanted = await wantedRoles(context);
  await setUpDatabases(login, wanted).catch((error: Error) => {
    throw new TaskError({
      what: `the roles of the database could not be made as \`${user}\``,
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

async function initialise(context: Context, programs: string, data: string): Promise<void> {
  const { $, environment, settings } = context;
  if ((await majorOf(data)) !== undefined) return;
  const { secret } = superuserOf(settings);
  const password = await decryptPassword(context, secret);
  // A server whose folder was deleted under it would write to the new one of the same path as it ends.
  await clearService(environment, 'postgresql', 'postgres');
  // Made under another name first: a killed initdb leaves a folder that neither it nor the server would take.
  const partial = `${data}.new`;
  await rm(partial, { recursive: true, force: true });
  await rm(rolesMade(environment.state), { force: true });
  await mkdir(dirname(data), { recursive: true, mode: 0o700 });
  const { words } = await findAccount('initdb', $);
  // Through cat, because the stdin of a child of Node is a socket, and those cannot be opened by the name /dev/stdin.
  await $({
    quiet: true,
    input: `${password}\n`,
  })`cat | ${words} ${join(programs, 'initdb')} ${initdbArguments(partial, settings)}`;
  await rename(partial, data);
}

/** The major version that the data were made with; undefined where there are none. */
const majorOf = async (data: string): Promise<string | undefined> =>
  (await textIfThere(join(data, 'PG_VERSION')))?.trim();

/** A server of the major version that the data was made with; a data folder cannot be opened by another one. */
async function findServer(data: string): Promise<FoundTool> {
  const made = (await majorOf(data)) ?? '';
  const server = await findTool(
    'postgresql',
    made === '' ? {} : { postgresqlMajor: Number.parseInt(made, 10) },
  );
  if (server) return server;
  throw new MissingToolError({
    what: `the database was made by PostgreSQL ${made}, which this machine does not have any more`,
    why: 'a data folder belongs to one major version',
    advice: `put PostgreSQL ${made} on the PATH, or run ${taskCommand('destroy-environment')} and make the environment anew`,
  });
}
