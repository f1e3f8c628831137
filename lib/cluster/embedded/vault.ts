import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Environment, writeWhole } from '../../environment.ts';
import { root } from '../../project.ts';
import type { TaskContext } from '../../runner/runner.ts';
import { findTool } from '../../tools/tools.ts';
import { answers, isUp, launchService } from './launch.ts';
import { type Ports, requireState } from './state.ts';

export const vaultCommands = (environment: Environment): readonly string[] => [
  `vault server -config .state/${environment.name}/vault/server.hcl`,
];

/** Starts the real Vault server, with its data in the state folder. It is not unsealed here. */
export async function ensureVault(
  environment: Environment,
  context: TaskContext,
): Promise<'changed' | 'unchanged'> {
  const { ports } = await requireState(environment);
  const ready = () => answers(`http://127.0.0.1:${ports.vault}/v1/sys/seal-status`);
  if (await isUp(environment, 'vault', ready)) return 'unchanged';

  const tool = await findTool('vault');
  if (!tool) throw new Error('the need for the tool vault was not declared');
  return launchService(environment, context, {
    name: 'vault',
    program: tool.path,
    command: [tool.path, 'server', '-config', await writeConfiguration(environment, ports)],
    ports: { vault: ports.vault, 'vault (cluster)': ports.vaultCluster },
    ready,
  });
}

async function writeConfiguration(environment: Environment, ports: Ports): Promise<string> {
  const folder = join(environment.state, 'vault');
  const data = join(folder, 'data');
  await mkdir(data, { recursive: true, mode: 0o700 });
  const values: { readonly [name: string]: string } = {
    data,
    port: String(ports.vault),
    clusterPort: String(ports.vaultCluster),
  };
  const template = await readFile(join(root, 'lib/cluster/embedded/vault.hcl'), 'utf8');
  const path = join(folder, 'server.hcl');
  await writeWhole(
    path,
    template.replace(/\$\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole),
  );
  return path;
}
