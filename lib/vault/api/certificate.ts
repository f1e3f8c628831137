import { join, relative } from 'node:path';
import { certificateFiles } from '../../certificates/files.ts';
import {
  authorityText,
  type CertifiedServer,
  identityOf,
  type ServerIdentity,
} from '../../certificates/server.ts';
import { shellWord } from '../../ground/shell-words.ts';
import type { Environment, Settings, ShellContext, Target } from '../../settings/context.ts';
import { loadSettings } from '../../settings/settings.ts';

const name = 'vault';

/** Vault with the names in its certificate. The release devops creates its Secret, or asks cert-manager for it. */
export const vaultServer = ({ vault: { tls } }: Pick<Settings, 'vault'>): CertifiedServer => ({
  name,
  namespace: 'vault',
  hosts: tls.hosts,
  issuedSecret: tls.clusterIssuer === '' ? '' : 'vault-tls',
});

/** Paths of the certificate that the environment's own authority signed. */
export const vaultCertificate = (environment: Pick<Environment, 'state'>) =>
  certificateFiles(environment, name);

export type ProgramTrust = ReturnType<typeof programTrust>;

/**
 * What Vault's command line needs to verify the server: the authority's certificate, relative to the project, and the
 * required name. `write`: a plain command that writes the file, if the certificate has another issuer.
 */
export function programTrust({ environment, settings }: Target) {
  const server = vaultServer(settings);
  const own = server.issuedSecret === '';
  const { authority } = vaultCertificate(environment);
  const path = own ? authority : join(environment.state, 'vault', 'ca.crt');
  const file = relative(environment.root, path);
  const write = own ? undefined : `${authorityText({ environment }, server)} > ${file}`;
  return { file, serverName: server.hosts[0] ?? '', write };
}

/** Variables by which `vault` finds and verifies the server. */
export const addressCommands = (address: string, { file, serverName, write }: ProgramTrust): string[] => [
  ...(write === undefined ? [] : [write]),
  `export VAULT_ADDR=${shellWord(address)}`,
  `export VAULT_CACERT="$PWD/${file}"`,
  `export VAULT_TLS_SERVER_NAME=${shellWord(serverName)}`,
];

/** By what clients verify Vault. Throws `TaskError` if its authority cannot be read. */
export const vaultIdentity = async (context: ShellContext): Promise<ServerIdentity> =>
  identityOf(context, vaultServer(await loadSettings(context.environment)));
