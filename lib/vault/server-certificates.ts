import { certificateCommands, ensureCertificate } from '../certificates/certificates.ts';
import type { Offline } from '../certificates/shared-authority.ts';
import { clusterOf } from '../cluster/cluster.ts';
import { databaseServer } from '../database/certificate.ts';
import type { Context, Outcome, Target } from '../settings/context.ts';
import { vaultServer } from './api/certificate.ts';

/** Those whose certificates have no other issuer. */
const serversOf = ({ settings }: Target) =>
  [databaseServer(settings), vaultServer(settings)].filter(({ issuedSecret }) => issuedSecret === '');

/**
 * Ensures the certificates of PostgreSQL and Vault, and their authority. Unless `offline`, servers beside the cluster
 * load them; those in pods get them from their releases.
 */
export async function ensureServerCertificates(context: Context, { offline = false }: Offline) {
  const outcomes: Outcome[] = [];
  for (const server of serversOf(context)) outcomes.push((await ensureCertificate(context, server)).outcome);
  // Whether or not they were made now: an earlier run may only have rendered.
  if (!offline) await (await clusterOf(context.environment)).reloadCertificates?.(context.environment);
  return outcomes.includes('changed') ? 'changed' : 'unchanged';
}

/** The same as plain commands. */
export const serverCertificatesCommands = (target: Target): readonly string[] => [
  ...new Set(serversOf(target).flatMap((server) => certificateCommands(target.environment, server))),
];
