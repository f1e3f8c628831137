import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Environment, writeWhole } from '../environment.ts';

/** Name of the helm release. */
export const release = 'traefik';

/** What was installed by us: only that is changed and removed by us. */
export type Installed = {
  readonly namespace: string;
  /** Whether the namespace was made for it. */
  readonly ownNamespace: boolean;
  /** Names of the types (CRDs) that were in the cluster before. */
  readonly typesBefore: readonly string[];
  /** Of chart and values; empty until the installation came to its end. */
  readonly digest: string;
};

/** Types that come with Traefik's charts. */
export const ownTypes = /\.(?:traefik\.io|gateway\.networking\.k8s\.io)$/;

const recordPath = ({ state }: Pick<Environment, 'state'>): string => join(state, 'ingress.json');

/** The record of our installation; undefined where there is none. */
export async function readRecord(environment: Environment): Promise<Installed | undefined> {
  const text = await readFile(recordPath(environment), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Installed);
}

export const writeRecord = (environment: Environment, record: Installed): Promise<void> =>
  writeWhole(recordPath(environment), `${JSON.stringify(record, null, 2)}\n`);

/** `helm` with the environment's kubeconfig and context. */
export const helmOf = (environment: Environment): readonly string[] => [
  ...['helm', '--kubeconfig', environment.kubeconfig, '--kube-context', environment.context],
];

/** Names in a list of kubectl. */
export type Named = { readonly items: readonly { readonly metadata: { readonly name: string } }[] };
