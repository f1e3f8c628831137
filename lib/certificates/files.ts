import { join } from 'node:path';
import type { Environment } from '../settings/context.ts';

/* Where certificates are, here and in the cluster. Loads nothing else: the dry run of `status` starts with it. */

/** Absolute path of the environment's folder of certificates and keys. */
export const folderOf = (state: string): string => join(state, 'certificates');

/** Absolute paths of a certificate, which may not exist, its key and its authority's certificate, in PEM. */
export const certificateFiles = ({ state }: Pick<Environment, 'state'>, name: string) => ({
  certificate: join(folderOf(state), `${name}.crt`),
  key: join(folderOf(state), `${name}.key`),
  authority: join(folderOf(state), 'ca.crt'),
});

/** kubectl's arguments for the Secrets of the project's servers, each `<name of the certificate>-tls`. */
export const issuedWords = [
  ...['get', 'secrets', '--all-namespaces', '--selector', 'app.kubernetes.io/part-of=k8s-deployment'],
  ...['--field-selector', 'type=kubernetes.io/tls'],
];
