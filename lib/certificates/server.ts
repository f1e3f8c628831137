import { readFile } from 'node:fs/promises';
import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';
import { shellWord } from '../ground/shell-words.ts';
import { kubectlList, kubectlText } from '../kubernetes/kubectl.ts';
import { secretsFile } from '../secrets/encrypted-file.ts';
import { hasShared, isShared, authorityFile as sharedAuthority } from '../secrets/shared-file.ts';
import type { InEnvironment, ShellContext } from '../settings/context.ts';
import type { CertificateRequest } from './certificates.ts';
import { certificateFiles } from './files.ts';

/** A server in the cluster, and who signs its certificate. */
export type CertifiedServer = CertificateRequest & {
  readonly namespace: string;
  /** Secret with a certificate of another issuer, such as cert-manager; empty for the environment's own authority. */
  readonly issuedSecret: string;
};

/** By what clients verify a server. */
export type ServerIdentity = {
  /** PEM of the authority that signed its certificate. */
  readonly authority: string;
  /** The name required in its certificate, whatever the address. */
  readonly name: string;
};

/** The authority's certificate as a bash argument that names a file. */
export const authorityFileOf = ({ environment }: InEnvironment, server: CertifiedServer): string =>
  server.issuedSecret === ''
    ? shellWord(certificateFiles(environment, server.name).authority)
    : `<(${authorityText({ environment }, server)})`;

/** A plain command that prints the authority's certificate of another issuer. */
export const authorityText = ({ environment }: InEnvironment, server: CertifiedServer): string =>
  `${kubectlText(environment)} -n ${server.namespace} get secret ${server.issuedSecret} -o jsonpath='{.data.ca\\.crt}' | base64 -d`;

/** By what clients verify the server. Throws `TaskError` if its authority cannot be read. */
export async function identityOf(context: ShellContext, server: CertifiedServer): Promise<ServerIdentity> {
  const read = server.issuedSecret === '' ? ownAuthority : issuedAuthority;
  return { authority: await read(context, server), name: server.hosts[0] ?? '' };
}

const ownAuthority = ({ environment }: ShellContext, { name }: CertifiedServer) =>
  readFile(certificateFiles(environment, name).authority, 'utf8').catch((error: Error) => {
    throw new TaskError({
      what: `cannot read the authority of the certificate of ${name}`,
      why: error.message,
      advice:
        isShared(environment) && !hasShared(environment, sharedAuthority)
          ? `get ${secretsFile(environment.name, sharedAuthority)} from whoever created the environment (git pull), then run again`
          : `run ${taskCommand('create-environment')}: it recreates .state/${environment.name}/certificates`,
    });
  });

async function issuedAuthority(context: ShellContext, { issuedSecret, namespace, name }: CertifiedServer) {
  type Secret = { readonly data?: { readonly 'ca.crt'?: string } };
  const [found] = await kubectlList<Secret>(context, 'get', 'secret', issuedSecret, '-n', namespace);
  const authority = found?.data?.['ca.crt'];
  if (authority !== undefined && authority !== '') return Buffer.from(authority, 'base64').toString();
  throw new TaskError({
    what: `the Secret ${issuedSecret} of the namespace ${namespace} has no ca.crt`,
    why: `clients verify ${name} by this authority`,
    advice: 'make the issuer of the certificate (cert-manager) add it: a public issuer (ACME) cannot',
  });
}
