import { realpath, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { ifThere } from '../ground/if-there.ts';
import { root } from '../ground/project.ts';
import { UsageError } from '../runner/runner.ts';
import type { Environment } from '../settings/environment.ts';
import { type Secured, whyNoDevelopmentKeys } from './development-keys.ts';
import { developmentKeyFile, isInProject, keySource } from './operational-key.ts';

/** Where a new operational key goes. Only the development key's private half may lie in the project. */
export type KeyPlace = {
  readonly kind: 'development' | 'own';
  /** Absolute path of the private half. */
  readonly path: string;
  readonly name: string;
  /** Path of the public half, relative to the project. */
  readonly publicFile: string;
};

/** The place that is named, else the one that the key in use comes from. Throws `UsageError` when it will not do. */
export async function keyPlace(environment: Environment, named: string | undefined): Promise<KeyPlace> {
  const source = await keySource(environment);
  if (named === undefined && source.kind === 'text') {
    throw new UsageError({
      what: 'it is not said where the new key goes',
      why: 'the key in use comes from SOPS_PGP_KEY',
      advice: 'name a file outside of the project: --key-file <path>',
    });
  }
  const inUse = source.kind === 'file' ? source.path : undefined;
  const path = named === undefined ? (inUse ?? '') : resolve(named.replace(/^~(?=\/)/, homedir()));
  const name = named ?? source.name;
  if (path === join(root, developmentKeyFile)) {
    return { kind: 'development', path, name, publicFile: 'sops/development-operational.public.asc' };
  }
  if (isInProject(await whereItIs(path))) {
    throw new UsageError({
      what: `${name} is a place in the project`,
      why: 'the private half of a key of your own must not be committed',
      advice: `name a file outside: --key-file <path>; only ${developmentKeyFile} stays inside`,
    });
  }
  if (path !== inUse && (await exists(path))) {
    throw new UsageError({
      what: `${name} is there already`,
      why: 'a key in it would be lost',
      advice: 'name a new file: --key-file <path>',
    });
  }
  return { kind: 'own', path, name, publicFile: 'sops/operational.public.asc' };
}

/** Throws `UsageError` unless a new key can go to its place, and be used where the environment stands. */
export async function checkPlace(input: Secured, named: string | undefined): Promise<void> {
  const place = await keyPlace(input.environment, named);
  const reason = place.kind === 'development' ? whyNoDevelopmentKeys(input) : undefined;
  if (reason === undefined) return;
  throw new UsageError({
    what: 'a new development key would protect nothing',
    why: reason,
    advice:
      'make one of your own, outside of the project: --key-file <path>; for a trial: --allow-development-keys',
  });
}

const exists = async (path: string): Promise<boolean> => (await ifThere(stat(path))) !== undefined;

/** The path without links, as far as it is there. */
async function whereItIs(path: string): Promise<string> {
  const above = dirname(path);
  if (above === path) return path;
  const real = await realpath(path).catch(() => undefined);
  return real ?? join(await whereItIs(above), path.slice(above.length));
}
