import { TaskError } from '@k8s-deployment/runner';
import { poll } from '../../ground/poll.ts';
import type { Api } from './api.ts';

/** A type of the API, named by plural and group: `vaultauths.secrets.hashicorp.com`. */
export type ApiType = { readonly name: string; readonly version: string };

/** The types in CustomResourceDefinition manifests. Throws for a manifest without one. */
export function typesOf(manifests: readonly string[]): ApiType[] {
  return manifests.map((manifest) => {
    // With an indent of two, the first `name` belongs to `metadata`; with four, to a version.
    const name = /^ {2}name: (\S+)$/m.exec(manifest)?.[1];
    const version = /^ {2}(?: {2}|- )name: (v\d\w*)$/m.exec(manifest)?.[1];
    if (name === undefined || version === undefined) throw new Error('a manifest names no type');
    return { name, version };
  });
}

/**
 * Types that the API server does not serve yet. Its discovery has a few hundred bytes per established type; the
 * definitions have hundreds of thousands.
 */
export async function missingTypes(api: Api, types: readonly ApiType[]): Promise<ApiType[]> {
  const place = ({ name, version }: ApiType): string =>
    `/apis/${name.slice(name.indexOf('.') + 1)}/${version}`;
  const served = new Set<string>();
  for (const path of new Set(types.map(place))) {
    const { status, body } = await api.call('GET', path);
    if (status !== 200) continue;
    for (const { name } of (body as { resources?: readonly { name: string }[] }).resources ?? [])
      served.add(`${path}/${name}`);
  }
  return types.filter((type) => !served.has(`${place(type)}/${type.name.slice(0, type.name.indexOf('.'))}`));
}

/** Milliseconds until the touch, then to the failure. Establishing a type takes 0.1 s, on a busy machine 1 to 2 s. */
const patience = { touchMs: 3000, failMs: 17_000 };

/**
 * Waits until the API server serves applied types. A type applied right before the server ended stays "Installing"
 * for minutes, since a new server only establishes it after a change, which applying it again is not. Such a type
 * gets an annotation. Throws `TaskError` if one is still not served.
 */
export async function waitForTypes(
  api: Api,
  types: readonly ApiType[],
  signal: AbortSignal,
  { touchMs, failMs } = patience,
): Promise<void> {
  let missing = types;
  const areServed = async (): Promise<true | undefined> => {
    missing = await missingTypes(api, types);
    return missing.length === 0 || undefined;
  };
  if (await poll(areServed, touchMs, signal)) return;
  await Promise.all(missing.map((type) => touch(api, type)));
  if (await poll(areServed, failMs, signal)) return;
  throw new TaskError({
    what: `the API server does not serve ${missing.map(({ name }) => name).join(', ')}`,
    why: 'the types exist, but are not established',
    advice: 'run it again; see the log of kube-apiserver',
  });
}

async function touch(api: Api, { name }: ApiType): Promise<void> {
  const annotations = { 'k8s-deployment/touched': new Date().toISOString() };
  const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`;
  const options = { contentType: 'application/merge-patch+json' };
  // A refused patch shows later, as the type is not served.
  await api.call('PATCH', path, { metadata: { annotations } }, options);
}
