import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { textIfThere } from '../ground/if-there.ts';
import { shellWords } from '../ground/shell-words.ts';
import { isShared } from '../secrets/shared-file.ts';
import type { Environment, ShellContext } from '../settings/context.ts';
import { runFolder } from '../settings/environment.ts';
import { folderOf } from './files.ts';

const authorityDays = 3650;
export const serverDays = 90;
/** Remaining days below which a certificate is renewed. */
export const renewDays = 30;

export const dayMs = 24 * 60 * 60 * 1000;

// PostgreSQL refuses a key that others can read; LibreSSL follows the umask.
export const keyMode = 0o600;

// A named curve: older LibreSSL would write its parameters, which Node and Go refuse.
export const newKey = [
  ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-pkeyopt', 'ec_param_enc:named_curve'],
  ...['-nodes', '-sha256'],
] as const;
export const configuration = 'lib/certificates/certificates.cnf';

/** Name of an environment's authority. */
export const authorityName = ({ name }: Pick<Environment, 'name'>): string => `${name} local CA`;

const authorityWords = (environment: Environment, key: string, certificate: string): readonly string[] => [
  ...['openssl', 'req', '-x509', '-config', configuration, '-extensions', 'authority', ...newKey],
  ...['-days', String(authorityDays), '-subj', `/O=k8s-deployment/CN=${authorityName(environment)}`],
  ...['-keyout', key, '-out', certificate],
];

/** A plain command that creates an authority in a folder. */
export const authorityCommand = (environment: Environment, folder: string): string =>
  `[ -e ${folder}/ca.crt ] || ${shellWords(authorityWords(environment, `${folder}/ca.key`, `${folder}/ca.crt`))}`;

/** Replaces the authority in the environment's folder. */
export async function createAuthority({ $, environment, onRunEnd }: ShellContext): Promise<void> {
  const folder = folderOf(environment.state);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const fresh = await mkdtemp(join(await runFolder(environment.state, onRunEnd), 'authority-'));
  try {
    const words = authorityWords(environment, join(fresh, 'ca.key'), join(fresh, 'ca.crt'));
    await $({ quiet: true })`${words}`;
    await chmod(join(fresh, 'ca.key'), keyMode);
    for (const file of ['ca.key', 'ca.crt']) await rename(join(fresh, file), join(folder, file));
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/**
 * Why the existing authority is unusable, or expires before a certificate that it would sign. One that a team shares is
 * not replaced because it begins later: the clock of this machine may be wrong.
 */
export async function authorityProblem(environment: Environment, now: Date): Promise<string | undefined> {
  const authority = await readPair(environment, 'ca');
  if (typeof authority === 'string') return authority;
  const isFine = authorityLasts(authority, now) && (isShared(environment) || hasBegun(authority, now));
  return isFine ? undefined : `the authority ${validity(authority)}`;
}

/** `is valid from … to …`. */
export const validity = ({ validFrom, validTo }: X509Certificate): string =>
  `is valid from ${validFrom} to ${validTo}`;

/** Milliseconds by which clocks may differ, and for which a certificate may be younger than a run's `now`. */
const skewMs = 5 * 60 * 1000;

const hasBegun = ({ validFrom }: X509Certificate, now: Date): boolean =>
  Date.parse(validFrom) - now.getTime() <= skewMs;

const endsLater = ({ validTo }: X509Certificate, now: Date): boolean =>
  Date.parse(validTo) - now.getTime() > renewDays * dayMs;

/** True if a certificate that the authority signs now could be renewed before the authority has to be. */
export const authorityLasts = (authority: X509Certificate, now: Date): boolean =>
  endsLater(authority, new Date(now.getTime() + serverDays * dayMs));

/** True if the certificate is valid and need not be renewed yet. */
export const lasts = (certificate: X509Certificate, now: Date): boolean =>
  hasBegun(certificate, now) && endsLater(certificate, now);

/** A certificate with a matching key, or the problem of the files. Throws `TaskError` if they are unreadable. */
export async function readPair({ root, state }: Environment, name: string) {
  const file = join(folderOf(state), name);
  const [crt, pem] = await Promise.all([textIfThere(`${file}.crt`), textIfThere(`${file}.key`)]);
  if (crt === undefined || pem === undefined) return `${name} does not exist`;
  try {
    const certificate = new X509Certificate(crt);
    const matches = certificate.checkPrivateKey(createPrivateKey(pem));
    return matches ? certificate : `${name}.key belongs to another certificate`;
  } catch {
    const damaged = relative(root, file);
    if (name !== 'ca') return `${damaged} is damaged`;
    // Clients that imported it would not trust a new one.
    throw new TaskError({
      what: `${damaged}.crt or ${name}.key is damaged`,
      why: 'it is the authority that signed every certificate of the environment',
      advice: `restore both from a copy, or move ${dirname(damaged)} away to create a new authority`,
    });
  }
}
