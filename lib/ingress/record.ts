import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { textIfThere } from '../ground/if-there.ts';
import { type Environment, writeWhole } from '../settings/environment.ts';

/** Name of the controller's helm release. */
export const releaseName = 'traefik';

/** The ingress controller that create-k8s installed: only this one is upgraded and removed. */
export type ControllerRecord = {
  readonly namespace: string;
  /** True if the namespace was created for it. */
  readonly ownNamespace: boolean;
  /** Names of the types (CRDs) that the cluster had before. */
  readonly typesBefore: readonly string[];
  /** Of chart and values; empty until the installation is complete. */
  readonly digest: string;
};

/** Names of the types that Traefik's charts install. */
export const traefikTypes = /\.(?:traefik\.io|gateway\.networking\.k8s\.io)$/;

const recordPath = ({ state }: Pick<Environment, 'state'>): string => join(state, 'ingress.json');

/** The record of the installation; undefined if there is none. Throws `TaskError` if it cannot be read. */
export async function readRecord(environment: Environment): Promise<ControllerRecord | undefined> {
  const text = await textIfThere(recordPath(environment));
  if (text === undefined) return undefined;
  try {
    const record = JSON.parse(text) as ControllerRecord | null;
    if (typeof record?.namespace === 'string' && Array.isArray(record.typesBefore)) return record;
  } catch {
    // Reported below.
  }
  throw new TaskError({
    what: `.state/${environment.name}/ingress.json, the record of the installed ingress controller, is damaged`,
    why: 'without it, it is unknown what to upgrade and what to remove',
    advice: `restore it from a copy; or remove the controller by hand (helm uninstall ${releaseName}), then the file`,
  });
}

export const writeRecord = (environment: Environment, record: ControllerRecord): Promise<void> =>
  writeWhole(recordPath(environment), `${JSON.stringify(record, null, 2)}\n`);

/** A list of kubectl of which only the names matter. */
export type NamedList = { readonly items: readonly { readonly metadata: { readonly name: string } }[] };
