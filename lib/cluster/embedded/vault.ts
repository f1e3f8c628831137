import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { taskCommand } from '../../ground/launcher.ts';
import type { EnvironmentContext, InEnvironment, Outcome } from '../../settings/context.ts';
import { writeWhole } from '../../settings/environment.ts';
import { findTool } from '../../tools/tools.ts';
import { vaultCertificate, vaultIdentity } from '../../vault/api/certificate.ts';
import { vaultClient } from '../../vault/api/client.ts';
import { dropReservation, keysNeverStored } from '../../vault/api/keys-file.ts';
import { sealStatus } from '../../vault/api/replica.ts';
import type { Ports } from './ports.ts';
import { clearService, ensureService, inBackground } from './processes.ts';
import { tellLostData, waitForService } from './services.ts';
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

function configurationValues(state: string, ports: Ports): TemplateValues {
  const { certificate, key } = vaultCertificate({ state });
  const data = `${state}/vault/data`;
  return { data, certificate, key, port: ports.vault, clusterPort: ports.vaultCluster };
}

/** Starts the real Vault server, sealed, with data in the state folder. */
export async function ensureVault(context: EnvironmentContext): Promise<Outcome> {
  const { environment } = context;
  const { ports } = await requireState(environment);
  const client = vaultClient({
    address: `https://127.0.0.1:${ports.vault}`,
    identity: await vaultIdentity(context),
    timeoutMs: 2000,
  });
  const ready = () => sealStatus(client).then(() => true);
  const folder = join(environment.state, 'vault');
  const data = join(folder, 'data');
  const keys = join(folder, 'keys.json');
  const back = `${taskCommand('init-vault')} sets it up, then ${taskCommand('restore-vault')} brings back a backup`;
  const isNew = await keysNeverStored(keys);
  if (isNew) {
    context.log('a killed run initialised Vault without storing its keys; Vault is empty and is recreated');
    await clearService(environment, 'vault');
    await rm(data, { recursive: true, force: true });
    await dropReservation(keys);
  }
  // HCL escapes a quoted path as JSON does.
  const escaped = JSON.stringify(environment.state).slice(1, -1);
  const configuration = await fillTemplate('vault.hcl', configurationValues(escaped, ports));
  const outcome = await ensureService(context, {
    name: 'vault',
    ports: { vault: ports.vault, 'vault (cluster)': ports.vaultCluster },
    ready,
    configuration,
    certificate: vaultCertificate(environment).certificate,
    // Vault's Snowflake plugin creates ~/.cache/snowflake at every start.
    env: { HOME: folder },
    command: async () => {
      const tool = await findTool('vault');
      if (!tool) throw new Error('the need for the tool vault was not declared');
      const file = join(folder, 'server.hcl');
      await writeWhole(file, configuration);
      if (!isNew) await tellLostData(context, 'vault', 'vault/data', back);
      await mkdir(data, { recursive: true, mode: 0o700 });
      return [tool.path, 'server', '-config', file];
    },
  });
  await waitForService(context, 'vault', ready);
  return outcome;
}
