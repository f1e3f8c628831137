import { type Shell, TaskError } from '@k8s-deployment/runner';
import { fileDigest, filesBelow } from '../../ground/files.ts';
import { shellWords } from '../../ground/shell-words.ts';
import type { Release } from '../../helm/helmfile.ts';
import type { Context, Outcome, Settings, Target } from '../../settings/context.ts';
import { releaseValues } from '../../settings/settings.ts';
import { reasonOf } from '../../tools/tool-answer.ts';

/** An image built from a folder of the project. */
export type OwnImage = {
  /** Its key in the setting `images`. */
  readonly name: string;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
  readonly folder: string;
  /** Releases that run it. */
  readonly releases: readonly string[];
};

/** The project's images in these releases, whose values refer to the image's setting. */
export function ownImages(settings: Settings, releases: readonly Release[]): OwnImage[] {
  return Object.entries(settings.images).flatMap(([name, { repository, tag, digest, build }]) => {
    const users = releases
      .filter((release) =>
        JSON.stringify(releaseValues(settings, release)).includes(`.Values.images.${name}.`),
      )
      .map((release) => release.name);
    return build === '' || users.length === 0
      ? []
      : [{ name, repository, tag, digest, folder: build, releases: users }];
  });
}

/** `repository:tag`, in Docker's form. */
export const tagged = ({ repository, tag }: Pick<OwnImage, 'repository' | 'tag'>): string =>
  `${repository}:${tag}`;

/** An image to build, with its name by its inputs, `repository:tag`. */
export type BuiltImage = OwnImage & { readonly built: string };

/**
 * The images to build: those with a digest come from their registry. Throws `TaskError` if a folder has no Dockerfile.
 */
export const imagesToBuild = (target: Target, images: readonly OwnImage[]): Promise<BuiltImage[]> =>
  Promise.all(
    images
      .filter(({ digest }) => digest === '')
      .map(async (image) => ({ ...image, built: await taggedByInputs(target, image) })),
  );

/** The image, tagged by its files and build arguments. */
async function taggedByInputs(target: Target, image: OwnImage): Promise<string> {
  const { root } = target.environment;
  const files = await filesBelow(root, image.folder);
  if (!files.includes(`${image.folder}/Dockerfile`)) {
    throw new TaskError({
      what: `${image.folder}, from which the image ${tagged(image)} is built, has no Dockerfile`,
      why: `the setting images.${image.name}.build names it`,
      advice: 'correct the setting, or leave it empty to pull the image',
    });
  }
  const digest = await fileDigest(root, files, JSON.stringify(target.settings.buildArguments));
  return `${image.repository}:inputs-${digest.slice(0, 12)}`;
}

/** `docker build` of a folder with the configured build arguments, then `more` options. */
export const buildWords = (
  settings: Settings,
  folder: string,
  reference: string,
  more: readonly string[] = [],
): string[] => [
  'docker',
  'build',
  ...Object.entries(settings.buildArguments).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
  ...more,
  '--tag',
  reference,
  folder,
];

/** The plain commands of `buildImages`. */
export const buildCommands = (settings: Settings, images: readonly BuiltImage[]): string[] =>
  images.map(({ folder, built }) => shellWords(buildWords(settings, folder, built)));

/** A plain command that succeeds if Docker has the current version of all images. */
export const builtCommand = (images: readonly BuiltImage[]): string =>
  images.length === 0
    ? 'true'
    : shellWords(['docker', 'image', 'inspect', ...images.map(({ built }) => built)]);

/** Builds images whose current version Docker lacks. */
export async function buildImages(
  { $, settings }: Pick<Context, '$' | 'settings'>,
  images: readonly BuiltImage[],
): Promise<Outcome> {
  let outcome: Outcome = 'unchanged';
  for (const { folder, built } of images) {
    if (await isBuilt($, built)) continue;
    await $`${buildWords(settings, folder, built)}`;
    outcome = 'changed';
  }
  return outcome;
}

/**
 * Throws `TaskError` if Docker's answer is unclear. `docker image ls` does not find names that begin with docker.io/.
 */
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
