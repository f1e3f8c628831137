import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../ground/project.ts';
import { type Login, withSuperuser } from './login.ts';

/** The chart's SQL files, which a real pod's Job runs with psql. */
const folder = join(root, 'charts', 'postgresql', 'files', 'set-up');

/** Up to `;`, or psql's `\gexec`, at the end of a line; `\gexec` executes each value of the result as a statement. */
const statement = /(.*?)(;|\\gexec)\s*$/gms;

/** Statements of a file. */
function statementsOf(text: string) {
  const code = text.replaceAll(/^--.*$/gm, '');
  if (code.replaceAll(statement, '').trim() !== '')
    throw new Error('Expected the last statement to end with ; or \\gexec');
  return [...code.matchAll(statement)].map(([, sql = '', end]) => ({
    sql: sql.trim(),
    givesStatements: end === '\\gexec',
  }));
}

/** Calls `use` with the superuser's login, for one connection: a port-forward ends with its first one. */
export type EachLogin = <Result>(use: (login: Login) => Promise<Result>) => Promise<Result>;

/**
 * Sets up the roles and databases of `wanted` (JSON as the chart `postgresql` renders it) with the chart's SQL. The
 * superuser's own database is created if it is missing. Returns the others' names; rejects with the server's error.
 */
export async function setUpDatabases(each: EachLogin, wanted: string): Promise<readonly string[]> {
  const { applications } = JSON.parse(wanted) as { readonly applications: object };
  const databases = Object.keys(applications);
  await each((login) =>
    // In the one that initdb always makes.
    withSuperuser({ ...login, database: 'postgres' }, async (query) => {
      const [missing] = await query(
        "SELECT format('CREATE DATABASE %I', $1::text) AS sql WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = $1)",
        [login.database],
      );
      if (missing !== undefined) await query(String(missing.sql));
    }),
  );
  await each((login) => runFile(login, wanted, 'roles.sql'));
  for (const database of databases)
    await each((login) => runFile({ ...login, database }, wanted, 'database.sql'));
  return databases;
}

/** Runs a file of the set-up. */
async function runFile(login: Login, wanted: string, file: string): Promise<void> {
  const statements = statementsOf(await readFile(join(folder, file), 'utf8'));
  await withSuperuser(login, async (query) => {
    await query("SELECT set_config('setup.wanted', $1, false)", [wanted]);
    for (const { sql, givesStatements } of statements) {
      const rows = await query(sql);
      if (!givesStatements) continue;
      for (const row of rows) for (const made of Object.values(row)) await query(String(made));
    }
  });
}
