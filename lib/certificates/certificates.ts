import { randomBytes, X509Certificate } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { shellWord, shellWords } from '../ground/shell-words.ts';
import type { Environment, Outcome, ShellContext } from '../settings/context.ts';
import { runFolder } from '../settings/environment.ts';
import {
  authorityCommand,
  authorityProblem,
  configuration,
  createAuthority,
  dayMs,
  keyMode,
  lasts,
  newKey,
  readPair,
  renewDays,
  serverDays,
  validity,
} from './authority.ts';
import { certificateFiles, folderOf } from './files.ts';

export type CertificateRequest = {
  /** Name of the files and the subject, such as `app1-front`. */
  readonly name: string;
  /** DNS names and IP addresses of the server, at least one. */
  readonly hosts: readonly string[];
};

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

/** The plain commands that create the authority and one certificate if they are missing, for `--dry-run`. */
export function certificateCommands(environment: Environment, request: CertificateRequest) {
  const folder = `.state/${environment.name}/certificates`;
  const file = (name: string): string => `${folder}/${name}`;
  const { name, hosts } = request;
  const inTime = `"$(($(date +%s) + ${(renewDays * dayMs) / 1000}))"`;
  const isFine = `openssl verify -attime ${inTime} -verify_hostname ${shellWord(hosts[0] ?? '')} -CAfile ${file('ca.crt')} ${file(`${name}.crt`)}`;
  const create = [
    shellWords(requestWords(name, file(`${name}.key`), file(`${name}.csr`))),
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
  const { environment, onRunEnd } = context;
  const folder = folderOf(environment.state);
  if ((await certificateProblem(environment, request, now)) === undefined) return 'unchanged';
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const $ = context.$({ quiet: true });
  // In a separate folder: an unfinished certificate must not replace a working one.
  const fresh = await mkdtemp(join(await runFolder(environment.state, onRunEnd), 'certificate-'));
  try {
    if ((await authorityProblem(environment, now)) !== undefined) await createAuthority(context);
    const file = join(fresh, request.name);
    const serial = `0x${randomBytes(16).toString('hex')}`;
    await $`${requestWords(request.name, `${file}.key`, `${file}.csr`)}`;
    await chmod(`${file}.key`, keyMode);
    const common = await readFile(join(environment.root, configuration), 'utf8');
    await writeFile(`${file}.cnf`, `${common}${namesLine(request.hosts)}\n`);
    await $`${signWords(folder, file)} -set_serial ${serial}`;
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
  if (!lasts(certificate, now)) return `${name} ${validity(certificate)}`;
  const names = (certificate.subjectAltName ?? '').replaceAll('IP Address:', 'IP:').split(', ').sort();
  const wanted = alternativeNames(hosts).split(',').sort();
  return names.join() === wanted.join() ? undefined : `${name} is for ${names.join(', ')}`;
}
