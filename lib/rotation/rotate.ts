import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withPostgresql } from '../cluster/cluster.ts';
import { serverIdentity } from '../database/certificate.ts';
import { acceptsLogin, type Login } from '../database/login.ts';
import { type LoginRole, loginRoles, selectRoles } from '../database/roles.ts';
import { install, test } from '../deploy/install.ts';
import { taskCommand } from '../ground/launcher.ts';
import { root } from '../ground/project.ts';
import { declaredReleases } from '../helm/helmfile.ts';
import { TaskError } from '../runner/runner.ts';
import { secretsFile } from '../secrets/encrypted-file.ts';
import { decryptValue, encryptValue } from '../secrets/sops.ts';
import type { Context } from '../settings/context.ts';
import type { Environment } from '../settings/environment.ts';
import { checkKeys, initVault, isInitialised } from '../vault/access.ts';
import { setPassword } from './alter-role.ts';
import { consumersOf, ensureRestarted } from './consumers.ts';
import { installedPassword } from './installed-password.ts';
import { endRotation, type Rotation, readRotation, writeRotation } from './rotation-state.ts';

/** 32 hexadecimal digits: no form of quoting changes them. */
const newPassword = (): string => randomBytes(16).toString('hex');

/**
 * New passwords for the roles that `name` means: SOPS file, server, Vault, releases, pods. What an interrupted run has begun is
 * completed with the passwords that it chose.
 */
export async function rotatePasswords(context: Context, name: string): Promise<void> {
  const { environment } = context;
  const { settings } = context;
  const roles = loginRoles(settings);
  const wanted = selectRoles(roles, name);
  const begun = await readRotation(environment);
  // Needed last, when the server has the new passwords already.
  await checkKeys(environment);
  const chosen = roles.filter((role) => wanted.includes(role) || role.name in begun);
  const rotation = await choosePasswords(context, chosen, begun);
  if (Object.keys(begun).length > 0)
    context.log(`completing the rotation that was begun: ${Object.keys(begun).join(', ')}`);

  const applications = chosen.filter(({ kind }) => kind === 'application').map((role) => role.name);
  const consumers = await consumersOf(context, applications);
  const giveUp = async (files: ReadonlyMap<string, string>): Promise<void> => {
    for (const [file, content] of files) await writeFile(file, content);
    if (Object.keys(begun).length === 0) await endRotation(environment);
    else await writeRotation(environment, begun);
  };
  const files = await replaceInFiles(context, chosen, rotation, giveUp);
  const { changed, failure } = await replaceInServer(context, roles, rotation);
  if (failure !== undefined) {
    if (changed) throw unfinished(failure, environment);
    // Nobody has a new password yet, so the old ones stay.
    await giveUp(files);
    throw failure;
  }
  context.log(`changed in the server: ${Object.keys(rotation).join(', ')}`);
  try {
    await replaceElsewhere(context);
    await ensureRestarted(context, consumers);
    await checkConsumers(consumers, context);
  } catch (error) {
    throw unfinished(error, environment);
  }
  await endRotation(environment);
  context.report('changed');
  const written = new Set(chosen.map(({ secret }) => secretsFile(environment.name, secret.file)));
  context.print(`commit: ${[...written].join(' ')}`);
}

async function choosePasswords(
  context: Context,
  roles: readonly LoginRole[],
  begun: Rotation,
): Promise<Rotation> {
  const { environment } = context;
  const pairs = await Promise.all(
    roles.map(async ({ name, secret }) => {
      const pair = begun[name] ?? {
        old: await decryptValue(context, secret.file, secret.key),
        new: newPassword(),
      };
      context.secret(pair.old);
      context.secret(pair.new);
      return [name, pair] as const;
    }),
  );
  const rotation = Object.fromEntries(pairs);
  await writeRotation(environment, rotation);
  return rotation;
}

/** Writes the new passwords into the encrypted files. Returns what the files held before. */
async function replaceInFiles(
  context: Context,
  roles: readonly LoginRole[],
  rotation: Rotation,
  giveUp: (files: ReadonlyMap<string, string>) => Promise<void>,
): Promise<ReadonlyMap<string, string>> {
  const { environment } = context;
  const before = new Map<string, string>();
  try {
    for (const { name, secret } of roles) {
      const path = join(root, secretsFile(environment.name, secret.file));
      if (!before.has(path)) before.set(path, await readFile(path, 'utf8'));
      await encryptValue(context, secret.file, secret.key, rotation[name]?.new ?? '');
    }
  } catch (error) {
    await giveUp(before);
    throw error;
  }
  return before;
}

/**
 * Changes the passwords in the server, the superuser's last: with the old one the rest can be done again. Returns whether any was
 * changed, and what went wrong.
 */
async function replaceInServer(
  context: Context,
  roles: readonly LoginRole[],
  rotation: Rotation,
): Promise<{ readonly changed: boolean; readonly failure?: TaskError }> {
  const superuser = roles[0] as LoginRole;
  let changed = false;
  try {
    await withPostgresql(context, async (address) => {
      const login = await superuserLogin(context, superuser, rotation, address);
      for (const role of [...roles.slice(1), superuser]) {
        const pair = rotation[role.name];
        if (pair === undefined) continue;
        await setPassword(login, role.name, pair.new);
        changed = true;
      }
    });
    return { changed };
  } catch (error) {
    if (error instanceof TaskError) return { changed, failure: error };
    const failure = new TaskError({
      what: 'the passwords could not be changed in the database',
      why: (error as Error).message,
      advice: `${taskCommand('status')} shows whether it answers; its roles are made by ${taskCommand('install-app postgresql')}. Then run again`,
      cause: error,
    });
    return { changed, failure };
  }
}

/** Finds the superuser's password among all that it may be by now. */
async function superuserLogin(
  context: Context,
  { name: user, database, secret }: LoginRole,
  rotation: Rotation,
  address: { readonly host: string; readonly port: number },
): Promise<Login> {
  const { environment } = context;
  const pair = rotation[user];
  const identity = await serverIdentity(context);
  const candidates = [
    async () => pair?.old,
    async () => pair?.new,
    () => decryptValue(context, secret.file, secret.key),
    // The one of the last install, when somebody has changed the file since.
    () => installedPassword(context),
  ];
  for (const candidate of candidates) {
    const password = await candidate();
    if (password === undefined) continue;
    const login = { ...address, user, password, database, identity };
    if (await acceptsLogin(login)) return login;
  }
  throw new TaskError({
    what: `the database refuses every known password of \`${user}\``,
    why: 'neither the one of the encrypted file fits, nor that of the last install',
    advice: `bring back the ${secretsFile(environment.name, secret.file)} that fits (git), then run again`,
  });
}

/** Vault logs in with one of the passwords; the releases hand them to pods, and make sure of them in the server once more. */
async function replaceElsewhere(context: Context): Promise<void> {
  // Outcomes of parts are not that of the whole.
  const part: Context = { ...context, passThrough: [], report: () => undefined };
  if (await isInitialised(part)) await initVault(part);
  else context.log(`Vault is not set up: it gets its password by ${taskCommand('init-vault')}`);
  await install(part, { app: 'postgresql' });
}

async function checkConsumers(
  consumers: Awaited<ReturnType<typeof consumersOf>>,
  context: Context,
): Promise<void> {
  const names = new Set(consumers.map(({ release }) => release));
  const apps = (await declaredReleases()).filter(({ name }) => names.has(name)).map(({ app }) => app);
  for (const app of new Set(apps)) await test({ ...context, passThrough: [] }, { app });
}

function unfinished(error: unknown, { name }: Environment): unknown {
  if (!(error instanceof TaskError)) return error;
  return new TaskError({
    what: `the rotation is not finished: ${error.what}`,
    ...(error.why === undefined ? {} : { why: error.why }),
    advice: `mend it and run ${taskCommand('rotate-database-password')} again: it goes on with the same passwords (.state/${name}/database-rotation.json)`,
    exitCode: error.exitCode,
    cause: error,
  });
}
