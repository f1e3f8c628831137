import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { type LoginRole, loginRoles, selectRoles } from '../database/roles.ts';
import { test } from '../deploy/deployed.ts';
import { install } from '../deploy/install.ts';
import { taskCommand } from '../ground/launcher.ts';
import { declaredReleases } from '../helm/helmfile.ts';
import { secretsFile } from '../secrets/encrypted-file.ts';
import { newPassword } from '../secrets/make.ts';
import { decryptValue, encryptValue } from '../secrets/sops.ts';
import type { Context, Environment } from '../settings/context.ts';
import { readKeys } from '../vault/api/keys-file.ts';
import { isInitialised } from '../vault/health.ts';
import { initVault } from '../vault/init-vault.ts';
import { keysPlace } from '../vault/keys-place.ts';
import { type Consumer, consumersOf, ensureRestarted } from './consumers.ts';
import { checkOthers, keepRotation, type Rotation, readRotation, replaceInServer } from './passwords.ts';

/**
 * Replaces the passwords of the selected roles in the SOPS file, the server, Vault, the releases and the pods.
 * Completes an interrupted rotation with the passwords that it chose.
 */
export async function rotatePasswords(context: Context, name: string): Promise<void> {
  const { environment, settings } = context;
  const roles = loginRoles(settings);
  const wanted = selectRoles(roles, name);
  const begun = await readRotation(environment);
  // Damaged keys fail here: they are needed once the server has the new passwords.
  await readKeys(keysPlace(context));
  const chosen = roles.filter((role) => wanted.includes(role) || role.name in begun);
  await checkOthers(
    context,
    roles.filter((role) => !chosen.includes(role)),
  );
  const applications = chosen.filter(({ kind }) => kind === 'application').map((role) => role.name);
  const consumers = await consumersOf(context, applications);
  const rotation = await choosePasswords(context, chosen, begun);
  if (Object.keys(begun).length > 0)
    context.log(`completing the interrupted rotation: ${Object.keys(begun).join(', ')}`);

  const files = [...new Set(chosen.map(({ secret }) => secretsFile(environment.name, secret.file)))];
  const before = new Map<string, string>();
  let inUse = false;
  try {
    for (const path of files.map((file) => join(environment.root, file)))
      before.set(path, await readFile(path, 'utf8'));
    for (const { name, secret } of chosen)
      await encryptValue(context, secret.file, secret.key, rotation[name]?.new ?? '');
    await replaceInServer(context, roles, rotation, () => {
      inUse = true;
    });
    context.log(`changed in the server: ${Object.keys(rotation).join(', ')}`);
    await replaceElsewhere(context);
    await ensureRestarted(context, consumers);
    await checkConsumers(context, consumers);
  } catch (error) {
    if (inUse) throw unfinished(error, environment);
    for (const [file, content] of before) await writeFile(file, content);
    await keepRotation(environment, begun);
    throw error;
  }
  await keepRotation(environment, {});
  context.report('changed');
  context.print(`commit: ${files.join(' ')}`);
}

async function choosePasswords(context: Context, roles: readonly LoginRole[], begun: Rotation) {
  const pairs = roles.map(async ({ name, secret: { file, key } }) => {
    const pair = begun[name] ?? { old: await decryptValue(context, file, key), new: newPassword() };
    context.secret(pair.old);
    context.secret(pair.new);
    return [name, pair] as const;
  });
  const rotation = Object.fromEntries(await Promise.all(pairs));
  await keepRotation(context.environment, rotation);
  return rotation;
}

/** Passes the new passwords to Vault, which logs in with one, and to the releases, which set them again. */
async function replaceElsewhere(context: Context): Promise<void> {
  // The parts' outcomes are not the task's.
  const part: Context = { ...context, passThrough: [], report: () => undefined };
  if (await isInitialised(part)) await initVault(part);
  else context.log(`Vault is not set up: ${taskCommand('init-vault')} gives it its password`);
  await install(part, { app: 'postgresql' });
}

async function checkConsumers(context: Context, consumers: readonly Consumer[]): Promise<void> {
  const names = new Set(consumers.map(({ release }) => release));
  const declared = await declaredReleases(context.environment.root);
  const apps = declared.filter(({ name }) => names.has(name)).map(({ app }) => app);
  for (const app of new Set(apps)) await test({ ...context, passThrough: [] }, { app });
}

function unfinished(error: unknown, { name }: Environment): unknown {
  if (!(error instanceof TaskError)) return error;
  const file = `.state/${name}/database-rotation.json`;
  return new TaskError({
    what: `the rotation is not finished: ${error.what}`,
    why: error.why,
    advice: `fix it and run ${taskCommand('rotate-database-password')} again, which uses the same passwords (${file})`,
    exitCode: error.exitCode,
    cause: error,
  });
}
