import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileDigest, filesBelow } from '../ground/file-digest.ts';
import { checkLineEnds } from '../ground/line-ends.ts';
import type { Target } from '../settings/context.ts';
import { writeStateFile } from '../settings/environment.ts';
import { settingsFiles } from '../settings/settings.ts';
import { findTool } from '../tools/tools.ts';
import { helmfileCommand } from './helmfile.ts';

/** Digests of releases as an install would write them now. */
export type RenderedDigests = {
  /** By name of the release. */
  readonly known: Map<string, string>;
  /** Stores them for the next run. */
  readonly save: () => Promise<void>;
};

type Stored = { readonly inputs: string; readonly digests: { readonly [release: string]: string } };

const file = 'rendered.json';

/**
 * The digests that an earlier run found for the same charts, settings, encrypted secrets, helm and helmfile: comparing those takes
 * milliseconds, rendering half a second. A damaged file counts as none. Throws `TaskError` for a chart with Windows line ends.
 */
export async function recallDigests(target: Target): Promise<RenderedDigests> {
  const { environment } = target;
  const { name, provider, root } = environment;
  const charts = await filesBelow(root, 'charts');
  checkLineEnds(
    await Promise.all(charts.map(async (path) => ({ path, text: await readFile(join(root, path)) }))),
  );
  const files = [
    'helmfile.yaml',
    'environments/values.yaml.gotmpl',
    ...(await settingsFiles(name, provider, root)),
    ...(await filesBelow(root, `environments/${name}/secrets`)),
    ...charts,
    // A key changes together with its certificate.
    ...['ca.crt', 'postgresql.crt'].map((file) => `.state/${name}/certificates/${file}`),
  ];
  const programs = await Promise.all([findTool('helm'), findTool('helmfile')]);
  const inputs = await fileDigest(
    root,
    files,
    'digests with and without replicas',
    // With the path of a tool's chart, which contains its version.
    ...(await helmfileCommand(target)),
    ...programs.map((program) => `${program?.path} ${program?.version}`),
  );
  const stored = await readFile(join(environment.state, file), 'utf8')
    .then((text): Stored => JSON.parse(text))
    .catch(() => undefined);
  const known = new Map(stored?.inputs === inputs ? Object.entries(stored.digests) : []);
  const save = () => writeStateFile(environment, file, { inputs, digests: Object.fromEntries(known) });
  return { known, save };
}
