import { writeFile } from 'node:fs/promises';
import {
  type CommandOutput,
  MissingToolError,
  reasonIn,
  spaceAdvice,
  TaskError,
} from '@k8s-deployment/runner';
import { providerOf } from '../cluster/providers.ts';
import { databaseCertificate } from '../database/certificate.ts';
import { superuserOptions } from '../database/login.ts';
import { kubectl } from '../kubernetes/kubectl.ts';
import type { Context } from '../settings/context.ts';
import { processEnvironment } from '../settings/environment.ts';
import { findTool } from '../tools/tools.ts';
import type { DatabaseServer } from './database-server.ts';

/** `--no-password`: never asks for one. */
export const dumpWords = (user: string, database: string): readonly string[] => [
  ...['pg_dump', '--format=custom', '--no-password', `--username=${user}`],
  `--dbname=dbname=${database} options='${superuserOptions}'`,
];

export const restoreWords = (user: string, database: string): readonly string[] => [
  ...['pg_restore', '--exit-on-error', '--single-transaction', '--no-password'],
  ...[`--username=${user}`, `--dbname=${database}`],
];

/** Options to restore as a role that owns all. In a pod, the socket may be only for the server's own account. */
export const ownerOptions = (isPod: boolean): readonly string[] => [
  ...['--no-owner', '--no-privileges', '--no-tablespaces', '--no-comments'],
  ...(isPod ? ['--host=localhost'] : []),
];

/** kubectl's words to run a program in the server's pod. stdin begins with the password, on a line of its own. */
export const inPod = (program: readonly string[]): readonly string[] => [
  ...['-n', 'database', 'exec', '-i', 'svc/postgresql', '--'],
  ...['sh', '-c', 'IFS= read -r PGPASSWORD && export PGPASSWORD && exec "$@"', 'sh', ...program],
];

/** libpq's variables for a server beside the cluster; its certificate is verified by name, whatever the address. */
export const localVariables = (host: string, port: number, authority: string) => ({
  PGHOST: host,
  PGHOSTADDR: '127.0.0.1',
  PGPORT: String(port),
  PGSSLMODE: 'verify-full',
  PGSSLROOTCERT: authority,
});

/**
 * pg_dump and pg_restore in the server's own pod, which fit it; for a server beside the cluster, those of this machine.
 * A database's owner restores nothing of other roles. They throw `TaskError` with the program's own reason.
 */
export async function databasePrograms(
  context: Context,
  { password, version, owner }: Pick<DatabaseServer, 'password' | 'version' | 'owner'>,
) {
  const { environment, settings } = context;
  const { user, host } = settings.database;
  const servers = await providerOf(environment).servers?.(environment);
  const local = servers && {
    ...(await processEnvironment(environment)),
    ...localVariables(host, servers.postgresql, databaseCertificate(environment).authority),
    PGPASSWORD: password,
  };
  const $ = context.$({
    quiet: true,
    nothrow: true,
    ...(local ? { env: local } : { input: `${password}\n` }),
  });
  const folder = servers && (await clientFolder(Number.parseInt(version, 10)));
  const started = ([program = '', ...words]: readonly string[]): readonly string[] =>
    folder === undefined
      ? [...kubectl(environment), ...inPod([program, ...words])]
      : [`${folder}/${program}`, ...words];
  return {
    /** Writes a database to a new file (mode 0600) in PostgreSQL's custom format. */
    dump: async (database: string, file: string) => {
      await writeFile(file, '', { flag: 'wx', mode: 0o600 });
      // Through cat: pg_dump and kubectl end with 0 if their last bytes find no space.
      const ended = await $`${started(dumpWords(user, database))} | cat > ${file}`;
      checkEnd(`the database ${database} could not be dumped`, ended);
    },
    /** Restores such a file into an empty database, all or nothing. */
    restore: async (file: string, database: string) => {
      const words = [...restoreWords(owner ?? user, database), ...(owner ? ownerOptions(!servers) : [])];
      checkEnd(`${file} could not be restored`, await $`cat - ${file} | ${started(words)}`);
    },
  };
}

/** The SQL after an error, and kubectl's last line, which repeats the exit code. */
const repeated =
  /^(?:(?:pg_dump: detail: )?(?:Command|Query) was: [\s\S]*|command terminated with exit code \d+$)/gm;

function checkEnd(what: string, { exitCode, stderr }: CommandOutput): void {
  if (exitCode === 0) return;
  const why = reasonIn(stderr.replace(repeated, '')) ?? `the program ended with exit code ${exitCode}`;
  throw new TaskError({ what, why, advice: spaceAdvice(stderr) ?? 'fix it, then run again' });
}

/** Folder of pg_dump and pg_restore for a server of this version, or an older one. */
async function clientFolder(major: number): Promise<string> {
  const tool = await findTool('postgresql-client', { postgresqlMajor: major });
  if (tool !== undefined) return tool.folder;
  throw new MissingToolError({
    what: `the server is PostgreSQL ${major}, for which this machine has no pg_dump`,
    why: 'pg_dump refuses a server that is newer than itself',
    advice: `install the clients of PostgreSQL ${major} or newer, for example \`apt-get install postgresql-client-${major}\``,
  });
}
