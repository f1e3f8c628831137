import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { outputOf } from './programs.ts';

export type TestCertificate = {
  /** Paths; the certificate is self-signed. */
  readonly certificate: string;
  readonly key: string;
  /** PEM. */
  readonly authority: string;
};

/**
 * A certificate for `hosts` (`DNS:name`, `IP:address`) as `<name>.crt` and `<name>.key` in a folder. Needs openssl.
 * It is marked as not a CA, because rustls refuses CA certificates from a server.
 */
export async function makeCertificate(
  folder: string,
  name: string,
  hosts: readonly string[],
  days = 2,
): Promise<TestCertificate> {
  const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
  await outputOf({ folder, env: process.env }, 'openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-days', String(days), '-subj', `/CN=${name}`, '-addext', 'basicConstraints=critical,CA:FALSE'],
    ...['-addext', `subjectAltName=${hosts.join(',')}`, '-keyout', key, '-out', certificate],
  ]);
  return { certificate, key, authority: await readFile(certificate, 'utf8') };
}

/** Makes the authority of an environment; its Vault may serve with the same certificate. */
export async function makeAuthority({ state }: { readonly state: string }): Promise<TestCertificate> {
  const folder = join(state, 'certificates');
  await mkdir(folder, { recursive: true });
  return makeCertificate(folder, 'ca', ['DNS:vault.vault.svc']);
}
