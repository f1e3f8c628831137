import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { renderEnvironment } from './render.ts';
import { root, temporaryFolder } from './tools.ts';

let folder: Promise<string> | undefined;

/** A copy of the rendered files in which production uses the development secrets, since the repository has none for it. */
export function productionFolder(): Promise<string> {
  folder ??= (async () => {
    const copy = await temporaryFolder();
    for (const name of ['charts', 'environments', 'helmfile.yaml', 'vault'])
      await cp(join(root, name), join(copy, name), { recursive: true });
    const secrets = join('environments', 'development', 'secrets');
    await cp(join(root, secrets), join(copy, secrets.replace('development', 'production')), {
      recursive: true,
    });
    return copy;
  })();
  return folder;
}

/** Like `renderEnvironment`, for the environment `production`. */
export const renderProduction = async (): Promise<ReadonlyMap<string, string>> =>
  renderEnvironment('existing', 'production', await productionFolder());
