import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { dirname, join, relative } from 'node:path';
import { type Shell, TaskError } from '@k8s-deployment/runner';
import { ifThere, textIfThere } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import { shellWord, shellWords } from '../ground/shell-words.ts';
import { isShared } from '../secrets/shared-file.ts';
import type { Environment, Outcome, ShellContext } from '../settings/context.ts';
import { runFolder } from '../settings/environment.ts';
import { certificateFiles, folderOf } from './files.ts';

const authorityDays = 3650;
const serverDays = 90;
/** Remaining days below which a certificate is renewed. */
const renewDays = 30;

export const dayMs = 24 * 60 * 60 * 1000;

// A named curve: older LibreSSL would write its parameters, which Node and Go refuse.
const newKey = [
  ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-pkeyopt', 'ec_param_enc:named_curve'],
  ...['-nodes', '-sha256'],
] as const;
const configuration = 'lib/certificates/certificates.cnf';

/** Name of an environment's authority. */
export const authorityName = ({ name }: Pick<Environment, 'name'>): string => `${name} local CA`;

/** `file`: path of the key and the certificate, without extension. */
const authorityWords = (environment: Environment, file: string): readonly string[] => [
  ...['openssl', 'req', '-x509', '-config', configuration, '-extensions', 'authority', ...newKey],
  ...['-days', String(authorityDays), '-subj', `/O=k8s-deployment/CN=${authorityName(environment)}`],
  ...['-keyout', `${file}.key`, '-out', `${file}.crt`],
];

/** A plain command that creates an authority in a folder. */
export const authorityCommand = (environment: Environment, folder: string): string =>
  `[ -e ${folder}/ca.crt ] || ${shellWords(authorityWords(environment, `${folder}/ca`))}`;

/** Replaces the authority in the environment's folder. */
export const createAuthority = (context: ShellContext): Promise<void> =>
  replacePair(context, 'ca', ($, file) => $`${authorityWords(context.environment, file)}`);

/** Replaces a key and its certificate by those that `create` makes beside them: an unfinished one replaces nothing. */
async function replacePair(
  context: ShellContext,
  name: string,
  create: ($: Shell, file: string) => Promise<unknown>,
): Promise<void> {
  const { state } = context.environment;
  await mkdir(folderOf(state), { recursive: true, mode: 0o700 });
  const fresh = await mkdtemp(join(await runFolder(state, context.onRunEnd), 'certificate-'));
  const file = join(fresh, name);
  try {
    await create(context.$({ quiet: true }), file);
    // PostgreSQL refuses a key that others can read; LibreSSL follows the umask.
    await chmod(`${file}.key`, 0o600);
    for (const extension of ['key', 'crt'])
      await rename(`${file}.${extension}`, join(folderOf(state), `${name}.${extension}`));
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
  const certificate = new X509Certificate(authority.certificate);
  const isFine = authorityLasts(certificate, now) && (isShared(environment) || hasBegun(certificate, now));
  return isFine ? undefined : `the authority ${validity(certificate)}`;
}

/** `is valid from … to …`. */
const validity = ({ validFrom, validTo }: X509Certificate): string =>
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

/** PEM texts of a certificate and its key, or the problem of the files. Throws `TaskError` if they are unreadable. */
export async function readPair(environment: Environment, name: string) {
  const files = certificateFiles(environment, name);
  const [certificate, key] = await Promise.all([textIfThere(files.certificate), textIfThere(files.key)]);
  if (certificate === undefined || key === undefined)
    return `${name}.${certificate === undefined ? 'crt' : 'key'} does not exist`;
  try {
    const matches = new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
    return matches ? { certificate, key } : `${name}.key belongs to another certificate`;
  } catch {
    const damaged = relative(environment.root, join(folderOf(environment.state), name));
    if (name !== 'ca') return `${damaged} is damaged`;
    // Clients that imported it would not trust a new one.
    throw new TaskError({
      what: `${damaged}.crt or ${name}.key is damaged`,
      why: 'it is the authority that signed every certificate of the environment',
      advice: `restore both from a copy, or move ${dirname(damaged)} away to create a new authority`,
    });
  }
}

export type CertificateRequest = {
  /** Name of the files and the subject, such as `app1-front`. */
  readonly name: string;
  /** DNS names and IP addresses of the server, at least one; clients require the first, whatever the address. */
  readonly hosts: readonly string[];
};

const requestWords = (name: string, file: string): readonly string[] => [
  ...['openssl', 'req', '-new', '-config', configuration, ...newKey, '-subj', `/CN=${name}`],
  ...['-keyout', `${file}.key`, '-out', `${file}.csr`],
];

/** `file`: path of request, extensions and certificate, without extension. */
const signWords = (authority: string, file: string): readonly string[] => [
  ...['openssl', 'x509', '-req', '-in', `${file}.csr`],
  ...['-CA', `${authority}/ca.crt`, '-CAkey', `${authority}/ca.key`],
  ...['-sha256', '-days', String(serverDays), '-extfile', `${file}.cnf`, '-extensions', 'server'],
  ...['-out', `${file}.crt`],
];

const alternativeNames = (hosts: readonly string[]): string =>
  hosts.map((host) => `${isIP(host) ? 'IP' : 'DNS'}:${host}`).join(',');

const namesLine = (hosts: readonly string[]): string => `subjectAltName = ${alternativeNames(hosts)}`;

/** The plain commands that create the authority and one certificate if they are missing, for `--dry-run`. */
export function certificateCommands(environment: Environment, request: CertificateRequest) {
  const folder = `.state/${environment.name}/certificates`;
  const file = (name: string): string => `${folder}/${name}`;
  const { name, hosts } = request;
  const inTime = `"$(($(date +%s) + ${(renewDays * dayMs) / 1000}))"`;
  const isFine = `openssl verify -attime ${inTime} -verify_hostname ${shellWord(hosts[0] ?? '')} -CAfile ${file('ca.crt')} ${file(`${name}.crt`)}`;
  const create = [
    shellWords(requestWords(name, file(name))),
    `chmod 600 ${file('ca.key')} ${file(`${name}.key`)}`,
    `{ cat ${configuration}; echo ${shellWord(namesLine(hosts))}; } > ${file(`${name}.cnf`)}`,
    `${shellWords(signWords(folder, file(name)))} -set_serial "0x$(openssl rand -hex 16)"`,
  ];
  return [
    `mkdir -p -m 700 ${folder}`,
    authorityCommand(environment, folder),
    `${isFine} > /dev/null 2>&1 || {\n${create.join('\n')}\n}`,
  ];
}

/** Certificates are created one at a time: concurrent calls would create two authorities. */
let turn: Promise<unknown> = Promise.resolve();

/**
 * Ensures a server certificate for exactly these hosts, valid for at least 30 days, and the environment's authority.
 * Files are in `.state/<environment>/certificates`, readable only by the user. Returns their paths and whether any
 * was created. Throws `TaskError` if openssl fails; needs the tool `openssl`.
 */
export async function ensureCertificate(
  context: ShellContext,
  request: CertificateRequest,
  now = new Date(),
) {
  const created = turn.then(() => createMissing(context, request, now));
  turn = created.catch(() => undefined);
  return { ...certificateFiles(context.environment, request.name), outcome: await created };
}

async function createMissing(
  context: ShellContext,
  request: CertificateRequest,
  now: Date,
): Promise<Outcome> {
  const { environment } = context;
  const { name, hosts } = request;
  if ((await certificateProblem(environment, request, now)) === undefined) return 'unchanged';
  const why = await authorityProblem(environment, now);
  if (why !== undefined) {
    const former = (await ifThere(readdir(folderOf(environment.state)))) ?? [];
    await createAuthority(context);
    const repair = `${taskCommand('create-environment')} and ${taskCommand('install-tier apps')}`;
    if (former.length > 0)
      context.log?.(
        `replaced the certificate authority: ${why}. Vault and the applications trust it after ${repair}`,
      );
  }
  await replacePair(context, name, async ($, file) => {
    await $`${requestWords(name, file)}`;
    const common = await readFile(join(environment.root, configuration), 'utf8');
    await writeFile(`${file}.cnf`, `${common}${namesLine(hosts)}\n`);
    const serial = `0x${randomBytes(16).toString('hex')}`;
    await $`${signWords(folderOf(environment.state), file)} -set_serial ${serial}`;
  });
  return 'changed';
}

/** Why the existing certificate is unusable; undefined if it is fine. */
export async function certificateProblem(
  environment: Environment,
  { name, hosts }: CertificateRequest,
  now = new Date(),
): Promise<string | undefined> {
  const authority = await authorityProblem(environment, now);
  if (authority !== undefined) return authority;
  const pair = await readPair(environment, name);
  if (typeof pair === 'string') return pair;
  const certificate = new X509Certificate(pair.certificate);
  const signer = new X509Certificate(await readFile(certificateFiles(environment, name).authority));
  if (!certificate.verify(signer.publicKey)) return `${name} was signed by another authority`;
  if (!lasts(certificate, now)) return `${name} ${validity(certificate)}`;
  const names = (certificate.subjectAltName ?? '').replaceAll('IP Address:', 'IP:').split(', ').sort();
  const wanted = alternativeNames(hosts).split(',').sort();
  return names.join() === wanted.join() ? undefined : `${name} is for ${names.join(', ')}`;
}
