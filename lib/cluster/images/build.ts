import { type Shell, TaskError } from '@k8s-deployment/runner';
import type { Outcome } from '../../ground/outcome.ts';
import { shellWords } from '../../ground/shell-words.ts';
import type { Context, Target } from '../../settings/context.ts';
import { reasonOf } from '../../tools/tool-answer.ts';
import { buildWords, type OwnImage, taggedByInputs } from './own-images.ts';

/** The plain commands of `buildImages`. */
export const buildCommands = (target: Target, images: readonly OwnImage[]): Promise<string[]> =>
  Promise.all(
    images.map(async (image) =>
      shellWords(buildWords(target.settings, image.folder, await taggedByInputs(target, image))),
    ),
  );

/** A plain command that succeeds if Docker has all images in their current version. */
export async function builtCommand(target: Target, images: readonly OwnImage[]): Promise<string> {
  const references = await Promise.all(images.map((image) => taggedByInputs(target, image)));
  return references.length === 0 ? 'true' : shellWords(['docker', 'image', 'inspect', ...references]);
}

/** Builds the images that Docker lacks in their current version. */
export async function buildImages(context: Context, images: readonly OwnImage[]): Promise<Outcome> {
  const { $, settings } = context;
  let outcome: Outcome = 'unchanged';
  for (const image of images) {
    const reference = await taggedByInputs(context, image);
    if (await isBuilt($, reference)) continue;
    await $`${buildWords(settings, image.folder, reference)}`;
    outcome = 'changed';
  }
  return outcome;
}

/** Throws `TaskError` if Docker gives no clear answer. `docker image ls` does not find names that begin with docker.io/. */
async function isBuilt($: Shell, reference: string): Promise<boolean> {
  const known = await $({ quiet: true, nothrow: true })`docker image inspect ${reference}`;
  if (known.exitCode === 0) return true;
  if (/no such image/i.test(known.stderr)) return false;
  throw new TaskError({
    what: `cannot check whether Docker has the image ${reference}`,
    why: reasonOf(known),
    advice: 'try: docker info',
  });
}
