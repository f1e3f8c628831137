import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { dirname, join, relative } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { textIfThere } from '../ground/if-there.ts';
import { shellWord, shellWords } from '../ground/shell-words.ts';
import type { ShellContext } from '../settings/context.ts';
import type { Environment } from '../settings/environment.ts';

export type CertificateRequest = {
  /** Name of the files and the subject, such as `app1-front`. */
  readonly name: string;
  /** DNS names and IP addresses of the server, at least one. */
  readonly hosts: readonly string[];
};

/** Absolute paths of PEM files. */
export type CertificateFiles = {
  readonly certificate: string;
  readonly key: string;
  /** The authority's certificate, for clients to trust. */
  readonly authority: string;
};

const authorityDays = 3650;
const serverDays = 90;
/** Remaining days below which a certificate is renewed. */
const renewDays = 30;

const dayMs = 24 * 60 * 60 * 1000;

const folderOf = (state: string): string => join(state, 'certificates');

/** Paths of a certificate that may not exist. */
export function certificateFiles({ state }: Pick<Environment, 'state'>, name: string): CertificateFiles {
  const folder = folderOf(state);
  return {
    certificate: join(folder, `${name}.crt`),
    key: join(folder, `${name}.key`),
    authority: join(folder, 'ca.crt'),
  };
}

// A named curve: older LibreSSL would write its parameters, which Node and Go refuse.
const newKey = [
  ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-pkeyopt', 'ec_param_enc:named_curve'],
  ...['-nodes', '-sha256'],
] as const;
const configuration = 'lib/certificates/certificates.cnf';

const authorityWords = ({ name }: Environment, key: string, certificate: string): readonly string[] => [
  ...['openssl', 'req', '-x509', '-config', configuration, '-extensions', 'authority', ...newKey],
  ...['-days', String(authorityDays), '-subj', `/O=k8s-deployment/CN=${name} local CA`],
  ...['-keyout', key, '-out', certificate],
];

const requestWords = (name: string, key: string, request: string): readonly string[] => [
  ...['openssl', 'req', '-new', '-config', configuration, ...newKey, '-subj', `/CN=${name}`],
  ...['-keyout', key, '-out', request],
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

/** The plain commands that create the authority and one certificate, for `--dry-run`. */
export function certificateCommands(
  environment: Environment,
  request: CertificateRequest,
): readonly string[] {
  const folder = `.state/${environment.name}/certificates`;
  const file = (name: string): string => `${folder}/${name}`;
  const { name, hosts } = request;
  return [
    `mkdir -p -m 700 ${folder}`,
    `[ -e ${file('ca.crt')} ] || ${shellWords(authorityWords(environment, file('ca.key'), file('ca.crt')))}`,
    shellWords(requestWords(name, file(`${name}.key`), file(`${name}.csr`))),
    `chmod 600 ${file('ca.key')} ${file(`${name}.key`)}`,
    `{ cat ${configuration}; echo ${shellWord(namesLine(hosts))}; } > ${file(`${name}.cnf`)}`,
    `${shellWords(signWords(folder, file(name)))} -set_serial "0x$(openssl rand -hex 16)"`,
  ];
}

/** Certificates are created one at a time per environment: concurrent calls would create two authorities. */
const turns = new Map<string, Promise<unknown>>();

/**
 * Ensures a server certificate for exactly these hosts, valid for at least 30 days, and the environment's authority.
 * Files are in `.state/<environment>/certificates`, readable only by the user. Returns their paths and whether any
 * was created. Throws `TaskError` if openssl fails; needs the tool `openssl`.
 */
export async function ensureCertificate(
  context: ShellContext,
  request: CertificateRequest,
  now = new Date(),
): Promise<CertificateFiles & { readonly outcome: 'changed' | 'unchanged' }> {
  const { environment } = context;
  const before = turns.get(environment.state) ?? Promise.resolve();
  const turn = before.then(() => createMissing(context, request, now));
  turns.set(
    environment.state,
    turn.catch(() => undefined),
  );
  const outcome = await turn;
  return { ...certificateFiles(environment, request.name), outcome };
}

async function createMissing(
  context: ShellContext,
  request: CertificateRequest,
  now: Date,
): Promise<'changed' | 'unchanged'> {
  const { environment } = context;
  const folder = folderOf(environment.state);
  if ((await certificateProblem(environment, request, now)) === undefined) return 'unchanged';
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const $ = context.$({ quiet: true });
  const openssl = (words: readonly string[]) => $`${words}`;
  // PostgreSQL refuses a key that others can read; LibreSSL follows the umask.
  const keyMode = 0o600;
  // In a separate folder: an unfinished certificate must not replace a working one.
  const fresh = await mkdtemp(join(folder, '.new-'));
  try {
    if ((await authorityProblem(environment, now)) !== undefined) {
      await openssl(authorityWords(environment, join(fresh, 'ca.key'), join(fresh, 'ca.crt')));
      await chmod(join(fresh, 'ca.key'), keyMode);
      for (const file of ['ca.key', 'ca.crt']) await rename(join(fresh, file), join(folder, file));
    }
    const file = join(fresh, request.name);
    const serial = `0x${randomBytes(16).toString('hex')}`;
    await openssl(requestWords(request.name, `${file}.key`, `${file}.csr`));
    await chmod(`${file}.key`, keyMode);
    const common = await readFile(join(environment.root, configuration), 'utf8');
    await writeFile(`${file}.cnf`, `${common}${namesLine(request.hosts)}\n`);
    await openssl([...signWords(folder, file), '-set_serial', serial]);
    for (const extension of ['key', 'crt'])
      await rename(`${file}.${extension}`, join(folder, `${request.name}.${extension}`));
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
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
  const certificate = await readPair(environment, name);
  if (typeof certificate === 'string') return certificate;
  const signer = new X509Certificate(await readFile(certificateFiles(environment, name).authority));
  if (!certificate.verify(signer.publicKey)) return `${name} was signed by another authority`;
  if (!lasts(certificate, now)) return `${name} expires on ${certificate.validTo}`;
  const names = (certificate.subjectAltName ?? '').replaceAll('IP Address:', 'IP:').split(', ').sort();
  const wanted = alternativeNames(hosts).split(',').sort();
  return names.join() === wanted.join() ? undefined : `${name} is for ${names.join(', ')}`;
}

/** Why the existing authority is unusable, or expires before a certificate that it would sign. */
async function authorityProblem(environment: Environment, now: Date): Promise<string | undefined> {
  const authority = await readPair(environment, 'ca');
  if (typeof authority === 'string') return authority;
  const whole = new Date(now.getTime() + serverDays * dayMs);
  return lasts(authority, whole) ? undefined : `the authority expires on ${authority.validTo}`;
}

const lasts = (certificate: X509Certificate, now: Date): boolean =>
  Date.parse(certificate.validTo) - now.getTime() > renewDays * dayMs;

/** A certificate with a matching key, or the problem of the files. Throws `TaskError` if they are unreadable. */
async function readPair({ root, state }: Environment, name: string): Promise<X509Certificate | string> {
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
