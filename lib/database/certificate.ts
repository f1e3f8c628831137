import { certificateFiles } from '../certificates/files.ts';
import {
  authorityFileOf,
  type CertifiedServer,
  identityOf,
  type ServerIdentity,
} from '../certificates/server.ts';
import type { Environment, Settings, ShellContext, Target } from '../settings/context.ts';

const name = 'postgresql';

/** PostgreSQL with the names of its Service, and loopback for a port-forward or the embedded cluster. */
export function databaseServer({ database, releases }: Settings): CertifiedServer {
  const { postgresql } = (releases ?? {}) as { postgresql?: { tls?: { existingSecret?: string } } };
  return {
    name,
    namespace: 'database',
    hosts: [...new Set([database.host, 'postgresql.database.svc', 'localhost', '127.0.0.1'])],
    issuedSecret: postgresql?.tls?.existingSecret ?? '',
  };
}

export const databaseCertificate = ({ state }: Environment) => certificateFiles({ state }, name);

/** The authority's certificate as a bash argument that names a file. */
export const authorityFile = (target: Target) => authorityFileOf(target, databaseServer(target.settings));

/** The authority and name by which clients verify the server. */
export const serverIdentity = (context: ShellContext & Pick<Target, 'settings'>): Promise<ServerIdentity> =>
  identityOf(context, databaseServer(context.settings));
