import { setTimeout as delay } from 'node:timers/promises';
import { TaskError } from '../../runner/runner.ts';
import type { Api } from './api.ts';

/** A type of the API, as its manifest names it: `vaultauths.secrets.hashicorp.com` is the plural and the group. */
export type ApiType = { readonly name: string; readonly version: string };

/** The types that manifests of CustomResourceDefinitions make. Throws for one that names none. */
export function typesOf(manifests: readonly string[]): ApiType[] {
  return manifests.map((manifest) => {
    // Two spaces deep, the first `name` is that of `metadata`; four deep, with or without the dash, that of a version.
    const name = /^ {2}name: (\S+)$/m.exec(manifest)?.[1];
    const version = /^ {2}(?: {2}|- )name: (v\d\w*)$/m.exec(manifest)?.[1];
    if (name === undefined || version === undefined) throw new Error('a manifest names no type');
    return { name, version };
  });
}

/**
 * The types of these that the API server does not serve. Asked of its discovery, which lists a type from the moment it is
 * established: a few hundred bytes, where the types themselves, with their schemas, have hundreds of thousands.
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

/** Milliseconds: a type is established within a tenth of a second, on a busy machine within one or two. */
const patience = { touchMs: 3000, failMs: 20_000, pollMs: 20 };

/**
 * Waits until the API server serves types that were applied. One that it took in right before it ended stays "Installing"
 * for minutes: a new API server establishes a type only when the type changes, and applying it again changes nothing. Such
 * a type is given a new annotation; nothing of it is lost. Throws `TaskError` for one that is not served even then.
 */
export async function waitForTypes(
  api: Api,
  types: readonly ApiType[],
  signal: AbortSignal,
  { touchMs, failMs, pollMs } = patience,
): Promise<void> {
  const start = Date.now();
  let touched = false;
  for (;;) {
    const missing = await missingTypes(api, types);
    if (missing.length === 0) return;
    const waited = Date.now() - start;
    if (waited >= failMs) {
      throw new TaskError({
        what: `the API server does not serve ${missing.map(({ name }) => name).join(', ')}`,
        why: 'the types are there, but not established',
        advice: 'run it again; the log of kube-apiserver says more',
      });
    }
    if (!touched && waited >= touchMs) {
      touched = true;
      await Promise.all(missing.map((type) => touch(api, type)));
    }
    await delay(pollMs, undefined, { signal });
  }
}

async function touch(api: Api, { name }: ApiType): Promise<void> {
  const annotations = { 'k8s-deployment/touched': new Date().toISOString() };
  const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`;
  const options = { contentType: 'application/merge-patch+json' };
  // One that is refused is not served, which is told at the end.
  await api.call('PATCH', path, { metadata: { annotations } }, options);
}
