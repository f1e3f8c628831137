import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { textIfThere } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import { kubectlList, kubectlText, type WithData } from '../kubernetes/kubectl.ts';
import { encryption } from '../secrets/encrypt.ts';
import { extractText, secretsFile } from '../secrets/encrypted-file.ts';
import { howToRestore } from '../secrets/how-to-restore.ts';
import { authorityFile, isShared, readShared, writeShared } from '../secrets/shared-file.ts';
import type { Context, Environment, EnvironmentContext, InEnvironment } from '../settings/context.ts';
import { writeWhole } from '../settings/environment.ts';
import {
  authorityCommand,
  authorityName,
  authorityProblem,
  createAuthority,
  readPair,
} from './certificates.ts';
import { certificateFiles, issuedWords } from './files.ts';

/** PEM texts of a certificate and its key. */
type Pair = { readonly certificate: string; readonly key: string };

/** A certificate that the cluster has and an authority of this environment signed. */
export type Issued = Pair & {
  readonly namespace: string;
  readonly secret: string;
  /** PEM of the authority, if the Secret has it. */
  readonly authority: string;
  readonly release: string | undefined;
};

/** Consequences of another authority, for errors and the question. */
const consequence =
  'PostgreSQL would restart, and clients that trust the present authority would refuse the servers';

/** True to render without a cluster: an install compares the authority with it later. */
export type Offline = { readonly offline?: boolean };

/**
 * Brings the authority of a shared environment from its encrypted file, and the servers' certificates from the cluster,
 * so that every machine deploys the same. Creates the file with the environment. Throws `TaskError` if the cluster has
 * certificates of another authority and `--replace-authority` is not given.
 */
export async function shareAuthority(context: Context, { offline = false }: Offline = {}, now = new Date()) {
  const { environment, options } = context;
  if (!isShared(environment)) return 'unchanged';
  const file = secretsFile(environment.name, authorityFile);
  const kept = await keptPair(context, file);
  const own = kept ?? (await localPair(environment));
  const issued = offline ? [] : await issuedIn(context);
  const foreign = issued.filter(({ certificate }) => own === undefined || !isSignedBy(certificate, own));
  if (foreign.length > 0 && options.replaceAuthority !== true) throw differs(environment, file, own, foreign);
  if (own !== undefined) await place(environment, 'ca', own);
  const problem = await authorityProblem(environment, now);
  if (problem !== undefined && own !== undefined && options.replaceAuthority !== true)
    throw new TaskError({
      what: `the certificate authority of environment \`${environment.name}\` has to be replaced: ${problem}`,
      why: consequence,
      advice: replaceAdvice(environment),
    });
  if (problem !== undefined) await createAuthority(context);
  if (problem !== undefined || kept === undefined) {
    await writeShared(context, authorityFile, (await localPair(environment)) ?? {});
    context.log(`wrote the certificate authority to ${file}, encrypted: commit it, others need it`);
  }
  if (problem === undefined)
    for (const { secret, ...pair } of issued.filter((one) => !foreign.includes(one)))
      await place(environment, secret.replace(/-tls$/, ''), pair);
  return problem !== undefined ? 'changed' : 'unchanged';
}

/** The same as plain commands. */
export function shareAuthorityCommands({ environment }: InEnvironment, { offline = false }: Offline = {}) {
  if (!isShared(environment)) return [];
  const { name, root } = environment;
  const folder = `.state/${name}/certificates`;
  const file = secretsFile(name, authorityFile);
  const part = (extension: string) => `${folder}/ca.${extension}`;
  const indented = (key: string, extension: string) => `echo "${key}: |"; sed 's/^/  /' ${part(extension)}`;
  const given = existsSync(join(root, file))
    ? (['certificate', 'key'] as const).map(
        (key) => `(umask 077; ${extractText(file, [key])} > ${part(key === 'key' ? 'key' : 'crt')})`,
      )
    : [
        authorityCommand(environment, folder),
        `mkdir -p environments/${name}/secrets`,
        `{ echo 'environment: ${name}'; ${indented('certificate', 'crt')}; ${indented('key', 'key')}; } | sops ${encryption(file).join(' ')} --output ${file} /dev/stdin`,
      ];
  const look = offline ? [] : [`${kubectlText(environment)} ${issuedWords.join(' ')}`];
  return [...look, `mkdir -p -m 700 ${folder}`, ...given];
}

/** The authority of the encrypted file; undefined if there is none. Throws `TaskError` if it is damaged. */
async function keptPair(context: Context, file: string): Promise<Pair | undefined> {
  const values = await readShared(context, authorityFile);
  if (values === undefined) return undefined;
  const { certificate, key } = values;
  if (typeof certificate === 'string' && typeof key === 'string' && matches({ certificate, key }))
    return { certificate, key };
  throw new TaskError({
    what: `${file} holds no certificate authority`,
    why: 'Expected `certificate` and its `key`, in PEM',
    advice: await howToRestore(context.environment.root, file),
  });
}

function matches({ certificate, key }: Pair): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

/** The authority in the environment's folder. Throws `TaskError` if it is damaged. */
async function localPair(environment: Environment): Promise<Pair | undefined> {
  const pair = await readPair(environment, 'ca');
  return typeof pair === 'string' ? undefined : pair;
}

/** The servers' certificates that the tasks put into the cluster, signed by any authority of this environment. */
export async function issuedIn(context: EnvironmentContext): Promise<Issued[]> {
  const text = (data: WithData['data'], key: string): string =>
    Buffer.from(data?.[key] ?? '', 'base64').toString();
  const secrets = await kubectlList<WithData>(context, ...issuedWords);
  return secrets.flatMap(({ metadata: { namespace, name: secret, labels }, data }) => {
    const certificate = text(data, 'tls.crt');
    const key = text(data, 'tls.key');
    context.secret(key);
    const ours = issuerOf(certificate).includes(`CN=${authorityName(context.environment)}`);
    const release = labels?.['app.kubernetes.io/instance'];
    return ours ? [{ namespace, secret, release, certificate, key, authority: text(data, 'ca.crt') }] : [];
  });
}

function issuerOf(certificate: string): readonly string[] {
  try {
    return new X509Certificate(certificate).issuer.split('\n');
  } catch {
    return [];
  }
}

const isSignedBy = (certificate: string, authority: Pair): boolean =>
  new X509Certificate(certificate).verify(new X509Certificate(authority.certificate).publicKey);

/** Writes a certificate and its key to the environment's folder. */
export async function place(environment: Environment, name: string, pair: Pair): Promise<void> {
  const files = certificateFiles(environment, name);
  for (const part of ['key', 'certificate'] as const)
    if ((await textIfThere(files[part])) !== pair[part]) await writeWhole(files[part], pair[part]);
}

function differs(environment: Environment, file: string, own: Pair | undefined, foreign: readonly Issued[]) {
  const places = foreign.map(({ namespace, secret }) => `${namespace}/${secret}`).join(', ');
  return new TaskError({
    what:
      own === undefined
        ? `the cluster has the certificates of an authority whose key is not here: ${places}`
        : `the cluster has certificates of another authority: ${places}`,
    why: `${own === undefined ? `${file} does not exist. With a new authority` : `${file} has not signed them. With it`}, ${consequence}`,
    advice: `get the file from whoever created the environment (git pull); ${replaceAdvice(environment)}`,
  });
}

const replaceAdvice = ({ name }: Environment): string =>
  `to replace the authority: ${taskCommand('create-environment --replace-authority', name)}`;
