import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Environment, EnvironmentContext, InEnvironment, Outcome } from '../../settings/context.ts';
import { writeWhole } from '../../settings/environment.ts';
import { findTool } from '../../tools/tools.ts';
import { vaultCertificate, vaultIdentity } from '../../vault/api/certificate.ts';
import { vaultClient } from '../../vault/api/client.ts';
import { dropReservation, keysNeverStored } from '../../vault/api/keys-file.ts';
import { sealStatus } from '../../vault/api/replica.ts';
import type { Ports } from './ports.ts';
import { clearService, ensureService, inBackground } from './processes.ts';
import { waitForService } from './services.ts';
import { expectedPorts, requireState } from './state.ts';
import { fillCommand, fillTemplate, type TemplateValues } from './template.ts';

/** The plain commands, for `--dry-run`. */
export async function vaultCommands({ environment }: InEnvironment): Promise<readonly string[]> {
  const folder = `.state/${environment.name}/vault`;
  const values = configurationValues(`$PWD/.state/${environment.name}`, await expectedPorts(environment));
  const server = ['vault', 'server', '-config', join(environment.state, 'vault', 'server.hcl')];
  return [
    `mkdir -p -m 700 ${folder}/data`,
    `${fillCommand('vault.hcl', values)} > ${folder}/server.hcl`,
    inBackground(environment, 'vault', server),
  ];
}

const configurationValues = (state: string, ports: Ports): TemplateValues => ({
  data: dataFolder(state),
  certificate: vaultCertificate({ state }).certificate,
  key: vaultCertificate({ state }).key,
  port: ports.vault,
  clusterPort: ports.vaultCluster,
});

const dataFolder = (state: string): string => join(state, 'vault', 'data');

/** Starts the real Vault server, sealed, with data in the state folder. */
export async function ensureVault(context: EnvironmentContext): Promise<Outcome> {
  const { environment } = context;
  const { ports } = await requireState(environment);
  const client = vaultClient({
    address: `https://127.0.0.1:${ports.vault}`,
    identity: await vaultIdentity(context),
    timeoutMs: 2000,
  });
  const ready = () =>
    sealStatus(client).then(
      () => true,
      () => false,
    );
  const keys = join(environment.state, 'vault', 'keys.json');
  const data = dataFolder(environment.state);
  if (await keysNeverStored(keys)) {
    context.log('a killed run initialised Vault without storing its keys; Vault is empty and is recreated');
    await clearService(environment, 'vault');
    await rm(data, { recursive: true, force: true });
    await dropReservation(keys);
  }
  const configuration = await configurationText(environment, ports);
  const outcome = await ensureService(context, {
    name: 'vault',
    ports: { vault: ports.vault, 'vault (cluster)': ports.vaultCluster },
    ready,
    configuration,
    certificate: vaultCertificate(environment).certificate,
    // Vault's Snowflake plugin creates ~/.cache/snowflake at every start.
    env: { HOME: join(environment.state, 'vault') },
    command: async () => {
      const tool = await findTool('vault');
      if (!tool) throw new Error('the need for the tool vault was not declared');
      const file = join(environment.state, 'vault', 'server.hcl');
      await writeWhole(file, configuration);
      await mkdir(data, { recursive: true, mode: 0o700 });
      return [tool.path, 'server', '-config', file];
    },
  });
  await waitForService(context, 'vault', ready);
  return outcome;
}

/** HCL escapes a quoted path as JSON does. */
const configurationText = ({ state }: Environment, ports: Ports): Promise<string> =>
  fillTemplate('vault.hcl', configurationValues(JSON.stringify(state).slice(1, -1), ports));
