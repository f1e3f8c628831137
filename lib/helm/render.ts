import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { checkPasswords } from '../database/roles.ts';
import { entriesBelow } from '../ground/if-there.ts';
import { taskCommand } from '../ground/launcher.ts';
import type { Context } from '../settings/context.ts';
import { runFolder } from '../settings/environment.ts';
import { renderingFailure } from './failure.ts';
import { callHelmfile, type Release } from './helmfile.ts';

const outputOptions = ['--output-dir-template', '{{ .OutputDir }}/{{ .Release.Name }}'] as const;

/**
 * The rendered files of each release, as an install would apply them. They contain secrets: on disk only while
 * helmfile runs, readable only by the user. `more` are options of `helmfile template`. Throws `TaskError` with helm's
 * message.
 */
export async function render(
  context: Context,
  releases: readonly Release[],
  more: readonly string[] = [],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const folder = await mkdtemp(join(await runFolder(context.environment.state), 'rendered-'));
  try {
    await checkPasswords(context, releases);
    const selectors = releases.flatMap(({ name }) => ['-l', `name=${name}`]);
    const words = [...selectors, 'template', '--output-dir', folder, ...outputOptions, ...more];
    await callHelmfile(context, words, renderingFailure(context, releases, 'rendering'));
    const rendered = new Map<string, readonly string[]>();
    for (const { name } of releases) {
      // helmfile creates a folder for each release, even if nothing is rendered.
      const entries = await entriesBelow(join(folder, name));
      if (entries === undefined)
        throw new TaskError({
          what: `helmfile rendered nothing for ${name}`,
          why: 'it ended with exit code 0, but wrote no files',
          advice: `check which \`helmfile\` is used (${taskCommand('verify-dependencies')}), then run again; nothing was changed`,
        });
      const files = entries.filter((entry) => entry.isFile());
      const texts = files.map((file) => readFile(join(file.parentPath ?? file.path, file.name), 'utf8'));
      rendered.set(name, await Promise.all(texts));
    }
    return rendered;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
