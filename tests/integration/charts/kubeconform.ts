import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FoundTool, ToolName } from '../../../lib/tools/tools.ts';
import { findTool } from '../../../lib/tools/tools.ts';
import { type KubernetesObject, objectsOf } from '../../charts/render.ts';
import { callIn, type Place } from '../../charts/tools.ts';
import { schemaLocation, writeSchemas } from './schemas.ts';

/** A tool installed by `tests/run.ts`. */
export async function toolOf(name: ToolName): Promise<FoundTool> {
  const tool = await findTool(name);
  if (tool) return tool;
  throw new Error(`Expected the tool ${name}: \`./run install-tools --tests --provider embedded\` gets it`);
}

/** The CRDs of these objects, in the pinned versions of their operators. */
export async function resourceTypes(used: readonly KubernetesObject[]): Promise<KubernetesObject[]> {
  const conform = (await toolOf('kubeconform')).folder;
  const operator = join((await toolOf('vault-secrets-operator')).folder, 'crds');
  const folders = ['cloudnative-pg', 'gateway-api', 'keda', 'prometheus-operator', 'traefik'].map((name) =>
    join(conform, name),
  );
  const texts = [operator, ...folders].map(async (folder) => {
    const files = (await readdir(folder)).sort();
    return Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  });
  const objects = (await Promise.all(texts)).flat().flatMap(objectsOf);
  return objects.filter(
    ({ kind, spec }) =>
      kind === 'CustomResourceDefinition' &&
      used.some(
        (object) => object.kind === spec.names.kind && object.apiVersion.startsWith(`${spec.group}/`),
      ),
  );
}

export type Verdict = {
  readonly summary: Readonly<Record<'valid' | 'invalid' | 'errors' | 'skipped', number>>;
  /** One message for each invalid object. */
  readonly problems: readonly string[];
};

/** kubeconform's result for objects, with schemas from the API server's OpenAPI. */
export async function conform(place: Place, objects: readonly KubernetesObject[]): Promise<Verdict> {
  const { path } = await toolOf('kubeconform');
  const folder = await mkdtemp(join(tmpdir(), 'schemas-'));
  try {
    const ask = async (address: string) => {
      const { exitCode, stdout, stderr } = await callIn(place, 'kubectl', ['get', '--raw', address]);
      if (exitCode !== 0) throw new Error(stderr);
      return stdout;
    };
    await writeSchemas(ask, objects, folder);
    const args = ['-strict', '-summary', '-output', 'json', '-schema-location', schemaLocation(folder), '-'];
    const stdin = objects.map((object) => JSON.stringify(object)).join('\n---\n');
    const { stdout, stderr } = await callIn(place, path, args, stdin);
    type Answer = { resources?: { kind: string; name: string; msg: string }[]; summary: Verdict['summary'] };
    let answer: Answer;
    try {
      answer = JSON.parse(stdout) as Answer;
    } catch {
      throw new Error(`kubeconform: ${stderr}${stdout}`);
    }
    const problems = (answer.resources ?? []).map(({ kind, name, msg }) => `${kind} ${name}: ${msg}`);
    return { summary: answer.summary, problems };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
