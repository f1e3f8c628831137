import { ensureServerCertificate, serverCertificateCommands } from '../certificates/server.ts';
import { databaseServer } from '../database/certificate.ts';
import type { Outcome } from '../ground/outcome.ts';
import type { Context, Target } from '../settings/context.ts';
import { vaultServer } from './api/certificate.ts';

const serversOf = ({ settings }: Target) => [databaseServer(settings), vaultServer(settings)];

/** Ensures the certificates of PostgreSQL and Vault, and their authority. */
export async function ensureServerCertificates(context: Context): Promise<Outcome> {
  const outcomes: Outcome[] = [];
  for (const server of serversOf(context)) outcomes.push(await ensureServerCertificate(context, server));
  return outcomes.includes('changed') ? 'changed' : 'unchanged';
}

/** The same as plain commands. */
export const serverCertificatesCommands = (target: Target): readonly string[] => [
  ...new Set(serversOf(target).flatMap((server) => serverCertificateCommands(target, server))),
];
