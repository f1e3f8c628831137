import { join } from 'node:path';
import { textIfThere } from '../../ground/if-there.ts';
import { taskCommand } from '../../ground/launcher.ts';
import { TaskError } from '../../runner/runner.ts';
import type { Context, Target } from '../../settings/context.ts';
import { type Environment, writeWhole } from '../../settings/environment.ts';
import type { Api } from './api.ts';
import { applyManifests } from './apply.ts';
import { fillTemplate, type TemplateValues } from './template.ts';

/** What `node.yaml` is filled in with for one node. */
export const nodeValues = (
  { environment, settings: { cluster } }: Target,
  number: string,
): TemplateValues => ({
  name: `${environment.name}-${number}`,
  cpus: cluster.cpus,
  memoryMB: cluster.memoryMB,
  kubernetesVersion: cluster.kubernetesVersion,
});

const manifestsOf = (state: string): string => join(state, 'nodes.yaml');

/** The names of the nodes that the cluster was made with, or undefined when it has none yet. */
async function madeNodes({ state }: Environment): Promise<string[] | undefined> {
  const text = (await textIfThere(manifestsOf(state))) ?? '';
  const names = [...text.matchAll(/^ {2}name: (\S+)$/gm)].map(([, name]) => name ?? '');
  return names.length > 0 ? names : undefined;
}

/**
 * Gives the API server the simulated nodes: as many as the settings ask for when the cluster is `creating`, later as many as
 * it was made with. Throws `TaskError` when one is refused.
 */
export async function applyNodes(target: Target, api: Api, phase: 'creating' | 'created'): Promise<void> {
  const { environment, settings } = target;
  const made = phase === 'created' ? await madeNodes(environment) : undefined;
  const count = made?.length ?? settings.cluster.nodes;
  const manifests = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      fillTemplate('node.yaml', nodeValues(target, String(index + 1))),
    ),
  );
  await writeWhole(manifestsOf(environment.state), manifests.join('---\n'));
  await applyManifests(api, manifests.join('---\n'));
}

/** Makes nodes that were deleted again, and says which. Throws `TaskError` when one is refused, or the API server does not list them. */
export async function restoreNodes(
  context: Pick<Context, 'log' | 'environment' | 'settings'>,
  api: Api,
): Promise<'changed' | 'unchanged'> {
  const { environment } = context;
  const { status, body } = await api.call('GET', '/api/v1/nodes');
  const made = await madeNodes(environment);
  if (status !== 200) {
    throw new TaskError({
      what: 'the API server does not list its nodes',
      why: (body as { message?: string } | null)?.message ?? `HTTP ${status}`,
      advice: `run it again; ${taskCommand('start-k8s')} starts what does not run`,
    });
  }
  if (made === undefined) return 'unchanged';
  const { items } = body as { items: readonly { metadata: { name: string } }[] };
  const there = new Set(items.map(({ metadata }) => metadata.name));
  const gone = made.filter((name) => !there.has(name));
  if (gone.length === 0) return 'unchanged';
  await applyNodes(context, api, 'created');
  context.log(`made again what was deleted: ${gone.join(', ')}`);
  return 'changed';
}

/** Says so when the settings ask for another number of nodes than the cluster was made with: it keeps them. */
export async function compareNodes(
  context: Pick<Context, 'log' | 'environment' | 'settings'>,
): Promise<void> {
  const { environment, settings } = context;
  const made = (await madeNodes(environment))?.length;
  const asked = settings.cluster.nodes;
  if (made === undefined || made === asked) return;
  const number = `${made} ${made === 1 ? 'node' : 'nodes'}`;
  context.log(
    `the settings ask for ${asked}, but the cluster keeps its ${number} until ${taskCommand('destroy-environment')} and ${taskCommand('create-environment')} make it anew`,
  );
}
