import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { checkPasswords, takePasswords } from '../database/check-passwords.ts';
import { taskCommand } from '../ground/launcher.ts';
import { secretFailure } from '../secrets/sops.ts';
import type { Context } from '../settings/context.ts';
import { explained, renderingFailure } from './failure.ts';
import { helmfileCommand, type Release } from './helmfile.ts';

const outputOptions = ['--output-dir-template', '{{ .OutputDir }}/{{ .Release.Name }}'] as const;

/**
 * The rendered files of each release, as an install would apply them. They contain secrets, and are on disk only meanwhile,
 * readable for the user alone. Throws `TaskError` with helm's message.
 */
export async function render(
  context: Context,
  releases: readonly Release[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const folder = await mkdtemp(join(context.environment.state, 'rendered-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  context.onRunEnd(remove);
  try {
    await renderInto(folder, context, releases);
    const read = releases.map(async ({ name }) => [name, await textsBelow(join(folder, name))] as const);
    return new Map(await Promise.all(read));
  } finally {
    await remove();
  }
}

async function renderInto(folder: string, context: Context, releases: readonly Release[]): Promise<void> {
  if (takePasswords(releases)) await checkPasswords(context);
  const selectors = releases.flatMap(({ name }) => ['-l', `name=${name}`]);
  const words = ['--quiet', ...selectors, 'template', '--output-dir', folder, ...outputOptions];
  const running = context.$({ quiet: true })`${await helmfileCommand(context, ...words)}`;
  await explained(running, async (error, stderr) => {
    const secret = await secretFailure(context, error);
    if (secret !== error) return secret;
    return renderingFailure(error, stderr, releases, 'rendering', context.environment.name);
  });
  // helmfile creates a folder for each release, even if nothing is rendered.
  const rendered = await readdir(folder);
  const missing = releases.filter(({ name }) => !rendered.includes(name)).map(({ name }) => name);
  if (missing.length === 0) return;
  throw new TaskError({
    what: `helmfile rendered nothing for ${missing.join(', ')}`,
    why: 'it ended with exit code 0, but wrote no files',
    advice: `check which \`helmfile\` is used (${taskCommand('verify-dependencies')}), then run again; nothing was changed`,
  });
}

async function textsBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return Promise.all(files.map((file) => readFile(join(file.parentPath ?? file.path, file.name), 'utf8')));
}
