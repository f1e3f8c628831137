import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ifThere } from '../../ground/if-there.ts';
import type { Outcome } from '../../ground/outcome.ts';
import type { EnvironmentContext, InEnvironment } from '../../settings/context.ts';
import { type Environment, writeWhole } from '../../settings/environment.ts';
import { findTool } from '../../tools/tools.ts';
import { dropReservation, keysNeverStored } from '../../vault/api/keys-file.ts';
import { answers, inBackground, isUp, launchService } from './launch.ts';
import type { Ports } from './ports.ts';
import { expectedPorts, requireState } from './state.ts';
import { fillCommand, fillTemplate, type TemplateValues } from './template.ts';

/** The plain commands, for `--dry-run`. */
export async function vaultCommands({ environment }: InEnvironment): Promise<readonly string[]> {
  const folder = `.state/${environment.name}/vault`;
  const storage = await storageOf(environment.state);
  const values = configurationValues(`$PWD/${folder}/data`, storage, await expectedPorts(environment));
  return [
    `mkdir -p -m 700 ${folder}/data`,
    `${fillCommand('vault.hcl', values)} > ${folder}/server.hcl`,
    inBackground(environment, 'vault', [
      ...['vault', 'server', '-config', join(environment.state, 'vault', 'server.hcl')],
    ]),
  ];
}

const configurationValues = (data: string, storage: string, ports: Ports): TemplateValues => ({
  data,
  storage,
  port: ports.vault,
  clusterPort: ports.vaultCluster,
});

const dataFolder = (state: string): string => join(state, 'vault', 'data');

/** The kind of storage: raft, unless the data were created by an older version. Only `file` has the folder `core`. */
const storageOf = async (state: string): Promise<string> =>
  (await ifThere(stat(join(dataFolder(state), 'core')))) ? 'file' : 'raft';

/** Starts the real Vault server, sealed, with data in the state folder. */
export async function ensureVault(context: EnvironmentContext): Promise<Outcome> {
  const { environment } = context;
  const { ports } = await requireState(environment);
  const ready = () => answers(`http://127.0.0.1:${ports.vault}/v1/sys/seal-status`);
  const keys = join(environment.state, 'vault', 'keys.json');
  const isEmpty = await keysNeverStored(keys);
  if (!isEmpty && (await isUp(environment, 'vault', ready))) return 'unchanged';
  if (isEmpty)
    context.log('a killed run initialised Vault without storing its keys; Vault is empty and is recreated');

  const tool = await findTool('vault');
  if (!tool) throw new Error('the need for the tool vault was not declared');
  return launchService(context, {
    name: 'vault',
    program: tool.path,
    command: [tool.path, 'server', '-config', join(environment.state, 'vault', 'server.hcl')],
    // Vault's Snowflake plugin creates ~/.cache/snowflake at every start.
    env: { HOME: join(environment.state, 'vault') },
    ports: { vault: ports.vault, 'vault (cluster)': ports.vaultCluster },
    ready,
    prepare: async () => {
      if (isEmpty) await rm(dataFolder(environment.state), { recursive: true, force: true });
      await mkdir(dataFolder(environment.state), { recursive: true, mode: 0o700 });
      if (isEmpty) await dropReservation(keys);
      await writeConfiguration(environment, ports);
    },
  });
}

async function writeConfiguration({ state }: Environment, ports: Ports): Promise<void> {
  // HCL escapes a quoted path as JSON does.
  const escaped = JSON.stringify(dataFolder(state)).slice(1, -1);
  const values = configurationValues(escaped, await storageOf(state), ports);
  await writeWhole(join(state, 'vault', 'server.hcl'), await fillTemplate('vault.hcl', values));
}
