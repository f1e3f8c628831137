import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { namesEnding } from '../../ground/leftover-files.ts';
import { controllerOf } from '../../ingress/controllers.ts';
import type { Settings, Target } from '../../settings/context.ts';
import type { Api } from './api.ts';
import { applyManifests } from './apply.ts';
import { fillCommand, fillTemplate, type TemplateValues } from './template.ts';

/** Traefik's types; on other clusters its upstream chart has them. */
const types = 'charts/traefik/crds';

function valuesOf(settings: Settings): TemplateValues | undefined {
  const controller = controllerOf(settings);
  return controller && { name: settings.ingress.controller, controller: controller.class };
}

/**
 * Applies what the API server needs to accept routes: the ingress controller's class and Traefik's types. The
 * controller itself would be a simulated pod.
 */
export async function applyIngress(api: Api, { environment, settings }: Target): Promise<void> {
  const values = valuesOf(settings);
  if (values === undefined) return;
  const manifests = [await fillTemplate('ingress-class.yaml', values)];
  if (settings.ingress.controller === 'traefik') {
    const folder = join(environment.root, types);
    for (const file of namesEnding(types, await readdir(folder), '.yaml'))
      manifests.push(await readFile(join(folder, file), 'utf8'));
  }
  await Promise.all(manifests.map((manifest) => applyManifests(api, manifest)));
}

/** The same for `--dry-run`: commands that write files, and these files for `kubectl apply`. */
export function ingressCommands(
  settings: Settings,
  state: string,
): { readonly commands: readonly string[]; readonly files: readonly string[] } {
  const values = valuesOf(settings);
  if (values === undefined) return { commands: [], files: [] };
  const file = `${state}/ingress-class.yaml`;
  return {
    commands: [`${fillCommand('ingress-class.yaml', values)} > ${file}`],
    files: [file, ...(settings.ingress.controller === 'traefik' ? [types] : [])],
  };
}
