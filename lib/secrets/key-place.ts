import { realpath, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { UsageError } from '@k8s-deployment/runner';
import { ifThere } from '../ground/if-there.ts';
import { checkWritable } from '../ground/writable-folder.ts';
import type { Target } from '../settings/context.ts';
import { type Secured, whyNoDevelopmentKeys } from './development-keys.ts';
import { developmentKeyFile, isInProject, keySource } from './operational-key.ts';

/** Location of a new operational key. Only the development key's private half may be inside the project. */
export type KeyPlace = {
  readonly kind: 'development' | 'own';
  /** Absolute path of the private half. */
  readonly path: string;
  readonly name: string;
  /** Path of the public half, relative to the project. */
  readonly publicFile: string;
};

/** The named location, else that of the current key. Throws `UsageError` if no key may be stored there. */
export async function keyPlace(target: Target, named: string | undefined): Promise<KeyPlace> {
  const { root } = target.environment;
  const source = keySource(target);
  if (named === undefined && source.kind === 'text') {
    throw new UsageError({
      what: 'the new key needs a file',
      why: 'the key in use comes from SOPS_PGP_KEY',
      advice: 'name a file outside of the project: --key-file <path>',
    });
  }
  const inUse = source.kind === 'file' ? source.path : undefined;
  const path = named === undefined ? (inUse ?? '') : resolve(named);
  const name = named ?? source.name;
  if (path === join(root, developmentKeyFile)) {
    return { kind: 'development', path, name, publicFile: 'sops/development-operational.public.asc' };
  }
  if (isInProject(root, await withoutLinks(path))) {
    throw new UsageError({
      what: `${name} lies in the project`,
      why: 'the private half of your own key must not be committed',
      advice: `name a file outside: --key-file <path>; only ${developmentKeyFile} stays inside`,
    });
  }
  if (path !== inUse && (await ifThere(stat(path))) !== undefined) {
    throw new UsageError({
      what: `${name} already exists`,
      why: 'a key in it would be lost',
      advice: 'name a new file: --key-file <path>',
    });
  }
  return { kind: 'own', path, name, publicFile: 'sops/operational.public.asc' };
}

/** Throws `UsageError` unless a new key can be stored there and used in the environment. */
export async function checkPlace(input: Secured, named: string | undefined): Promise<void> {
  const place = await keyPlace(input, named);
  await checkWritable(dirname(place.path));
  const reason = place.kind === 'development' ? whyNoDevelopmentKeys(input) : undefined;
  if (reason === undefined) return;
  throw new UsageError({
    what: 'a new development key would protect nothing',
    why: reason,
    advice:
      'create your own key, outside of the project: --key-file <path>; for a trial: --allow-development-keys',
  });
}

/** The path with its existing links resolved. */
async function withoutLinks(path: string): Promise<string> {
  const above = dirname(path);
  if (above === path) return path;
  const real = await realpath(path).catch(() => undefined);
  return real ?? join(await withoutLinks(above), path.slice(above.length));
}
