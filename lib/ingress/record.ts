import { join } from 'node:path';
import { textIfThere } from '../ground/if-there.ts';
import { TaskError } from '../runner/runner.ts';
import { type Environment, writeWhole } from '../settings/environment.ts';

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

/** The record of our installation; undefined where there is none. Throws `TaskError` for one that cannot be read. */
export async function readRecord(environment: Environment): Promise<Installed | undefined> {
  const text = await textIfThere(recordPath(environment));
  if (text === undefined) return undefined;
  try {
    const record = JSON.parse(text) as Installed | null;
    if (typeof record?.namespace === 'string' && Array.isArray(record.typesBefore)) return record;
  } catch {
    // Told below.
  }
  throw new TaskError({
    what: `.state/${environment.name}/ingress.json, which says what of the ingress controller is ours, is damaged`,
    why: 'without it nobody can say what to upgrade and what to remove',
    advice: `restore it from a copy; or remove the controller by hand (helm uninstall ${release}), then the file`,
  });
}

export const writeRecord = (environment: Environment, record: Installed): Promise<void> =>
  writeWhole(recordPath(environment), `${JSON.stringify(record, null, 2)}\n`);

/** `helm` with the environment's kubeconfig and context. */
export const helmOf = ({ context, kubeconfig }: Environment): readonly string[] => [
  ...['helm', '--kubeconfig', kubeconfig, '--kube-context', context],
];

/** Names in a list of kubectl. */
export type Named = { readonly items: readonly { readonly metadata: { readonly name: string } }[] };
