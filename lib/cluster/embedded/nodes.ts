import { join } from 'node:path';
import { textIfThere } from '../../ground/if-there.ts';
import type { Context, Environment, Target } from '../../settings/context.ts';
import { writeWhole } from '../../settings/environment.ts';
import { tellKept } from '../kept.ts';
import type { Api } from './api.ts';
import { applyManifests } from './apply.ts';
import { fillTemplate, type TemplateValues } from './template.ts';

/** A node's values for `node.yaml`. */
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

/** Names of the nodes with which the cluster was created; undefined before. */
async function createdNodes({ state }: Environment): Promise<string[] | undefined> {
  const text = (await textIfThere(manifestsOf(state))) ?? '';
  const names = [...text.matchAll(/^ {2}name: (\S+)$/gm)].map(([, name]) => name ?? '');
  return names.length > 0 ? names : undefined;
}

/**
 * Applies the simulated nodes: during `creating`, the number in the settings; later, those with which the cluster was
 * created. Throws `TaskError` if the API server refuses one.
 */
export async function applyNodes(target: Target, api: Api, phase: 'creating' | 'created'): Promise<void> {
  const { environment, settings } = target;
  const created = phase === 'created' ? await createdNodes(environment) : undefined;
  const count = created?.length ?? settings.cluster.nodes;
  const manifests = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      fillTemplate('node.yaml', nodeValues(target, String(index + 1))),
    ),
  );
  await writeWhole(manifestsOf(environment.state), manifests.join('---\n'));
  await applyManifests(api, manifests.join('---\n'));
}

/** Logs that the cluster keeps its nodes if the settings have another number. */
export async function compareNodes(
  context: Pick<Context, 'log' | 'environment' | 'settings'>,
): Promise<void> {
  const created = await createdNodes(context.environment);
  if (created !== undefined) tellKept(context, 'nodes', created.length);
}
