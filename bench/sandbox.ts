import { cp, mkdtemp, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { MissingToolError, type TaskContext } from '@k8s-deployment/runner';
import { stopEverything } from '../lib/cluster/embedded/processes.ts';
import { root } from '../lib/ground/project.ts';
import type { Environment } from '../lib/settings/context.ts';
import { environmentOf } from '../lib/settings/environment.ts';
import { toolsOf } from '../lib/tools/manifest.ts';
import { findTool } from '../lib/tools/tools.ts';

/** A copy of the sources, so that the developer's environments are never touched. */
export type Sandbox = Awaited<ReturnType<typeof makeSandbox>>;

/** `development` is created by the tasks, `serial` by serial.sh, `bare` by kwokctl alone. */
const names = ['development', 'serial', 'bare'] as const;
type EnvironmentName = (typeof names)[number];

/**
 * Copies the sources into a temporary folder that the end of the run removes. Throws `MissingToolError` when a tool is
 * missing.
 */
export async function makeSandbox(context: TaskContext) {
  const path = await toolPath();
  // Short, because the path of the keyring's socket in it has a length limit.
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'k8sd-bench-')));
  const environments = Object.fromEntries(
    names.map((name) => [name, environmentOf({ env: name, provider: 'embedded' }, folder)]),
  ) as { readonly [name in EnvironmentName]: Environment };
  const left = new Set(['node_modules', '.state', '.git', '.env']);
  const { ENVIRONMENT: _e, CLUSTER_PROVIDER: _p, CLUSTER_CONTEXT: _c, ...own } = process.env;
  const variables: NodeJS.ProcessEnv = { ...own, PATH: path };
  const $ = context.$({ cwd: folder, env: variables, quiet: true });

  /** Ends the processes of an environment and removes its files. */
  const clear = async (name: EnvironmentName): Promise<void> => {
    const { state } = environments[name];
    await stopEverything(environments[name]);
    await $({ nothrow: true })`gpgconf --homedir ${join(state, 'gnupg')} --kill all`;
    await rm(state, { recursive: true, force: true });
  };
  context.onRunEnd(async () => {
    for (const name of names) await clear(name);
    await rm(folder, { recursive: true, force: true });
  });

  await cp(root, folder, {
    recursive: true,
    preserveTimestamps: true,
    filter: (source) => !left.has(basename(source)),
  });
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  const copied = join(folder, 'environments');
  await cp(join(copied, 'development'), join(copied, 'serial'), { recursive: true });
  return { folder, environments, variables, $, clear };
}

/** PATH with every tool of the embedded cluster in front, PostgreSQL's programs included. */
async function toolPath(): Promise<string> {
  const folders = await Promise.all(
    toolsOf('embedded').map(async (name) => {
      const tool = await findTool(name);
      if (tool) return tool.folder;
      throw new MissingToolError({
        what: `${name} is missing`,
        why: 'only what is done with the tools is measured, not how they are got',
        advice: 'run ./run install-tools --provider embedded',
      });
    }),
  );
  return [...new Set(folders), process.env.PATH ?? ''].join(delimiter);
}
