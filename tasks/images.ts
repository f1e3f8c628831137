import { requireCluster } from '../lib/cluster/cluster.ts';
import { buildImages as build, buildCommands } from '../lib/cluster/images/build.ts';
import { loadImages as load, loadCommands } from '../lib/cluster/images/load.ts';
import { buildWords, type OwnImage, ownImages } from '../lib/cluster/images/own-images.ts';
import { checkImages as check, preflightCommands } from '../lib/cluster/images/preflight.ts';
import { type Selection, selectsRelease } from '../lib/deploy/install.ts';
import { shellWords } from '../lib/ground/shell-words.ts';
import { declaredReleases, withNeeds } from '../lib/helm/helmfile.ts';
import { type Needs, need, type Options, task, UsageError } from '../lib/runner/runner.ts';
import { environmentOf, settingsOf } from '../lib/settings/environment.ts';
import { connection, createK8s, startK8s } from './cluster.ts';
import { tools } from './tools.ts';

const tag = {
  tag: { type: 'string', positional: true, description: "the image's tag, such as 1.2.0" },
} as const;

/** What a registry takes as a tag (https://github.com/opencontainers/distribution-spec, "Pulling manifests"). */
const tagForm = /^\w[\w.-]{0,127}$/;

/** The image's full name. Throws UsageError for a tag that no registry takes, such as the name of a branch with a slash. */
async function image(options: Options, tagName: string): Promise<string> {
  if (!tagForm.test(tagName)) {
    throw new UsageError({
      what: `\`${tagName}\` is no tag of an image`,
      why: 'a tag is up to 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two',
      advice: 'replace other characters, for example `/` of a branch by `-`',
    });
  }
  const { images } = await settingsOf(environmentOf(options));
  return `${images.backendVerification.repository}:${tagName}`;
}

export const buildBackendVerification = task({
  name: 'build-backend-verification',
  description: 'build the image of the verification program',
  group: 'images',
  args: tag,
  needs: tools('docker'),
  commands: async ({ args, options }) => [
    shellWords(
      buildWords(
        await settingsOf(environmentOf(options)),
        'docker/backend-verification',
        await image(options, args.tag),
      ),
    ),
  ],
});

export const buildPushBackendVerification = task({
  name: 'build-push-backend-verification',
  description: 'build the image of the verification program and push it',
  group: 'images',
  args: tag,
  needs: ({ args }) => [need(buildBackendVerification, { tag: args.tag })],
  commands: async ({ args, options }) => [shellWords(['docker', 'push', await image(options, args.tag)])],
});

const selection = {
  tier: { type: 'string', optional: true, description: 'a tier' },
  app: { type: 'string', optional: true, description: 'an application' },
} as const;

/** The images of the project's own that an install of the selection runs. */
async function imagesOf(options: Options, selected: Selection): Promise<OwnImage[]> {
  const releases = withNeeds(await declaredReleases(), selectsRelease(selected));
  return ownImages(await settingsOf(environmentOf(options)), releases);
}

/** One with a digest is that of its registry: no other content may take its place. */
const toBuild = async (options: Options, selected: Selection): Promise<OwnImage[]> =>
  (await imagesOf(options, selected)).filter(({ digest }) => digest === '');

export const buildImages = task({
  name: 'build-images',
  description: "build the project's own images that the selected releases run",
  group: 'images',
  private: true,
  args: selection,
  needs: tools('docker'),
  commands: async ({ args, options }) =>
    buildCommands(await settingsOf(environmentOf(options)), await toBuild(options, args)),
  run: async (context) => {
    const { args, options } = context;
    context.report(await build(environmentOf(options), await toBuild(options, args), context));
  },
});

export const loadImages = task({
  name: 'load-images',
  description: 'load them into the nodes',
  group: 'images',
  private: true,
  args: selection,
  needs: ({ args }) => [need(buildImages, args), ...tools('kubectl', 'minikube')],
  after: [createK8s, startK8s],
  // Another clone's build may move the tag between two of its commands.
  retries: 1,
  commands: async ({ args, options }) => {
    const environment = environmentOf(options);
    return loadCommands(environment, await settingsOf(environment), await toBuild(options, args));
  },
  run: async (context) => {
    const environment = environmentOf(context.options);
    const images = await toBuild(context.options, context.args);
    if (images.length > 0) await requireCluster(environment, context);
    context.report(await load(environment, images, context));
  },
});

export const checkImages = task({
  name: 'check-images',
  description: "check that the cluster can run the project's own images",
  group: 'images',
  private: true,
  args: selection,
  needs: ({ options }) => [...tools('kubectl'), ...connection(options)],
  after: [createK8s],
  commands: async ({ args, options }) =>
    preflightCommands(environmentOf(options), await imagesOf(options, args)),
  run: async (context) => {
    const environment = environmentOf(context.options);
    const images = await imagesOf(context.options, context.args);
    if (images.length > 0) await requireCluster(environment, context);
    await check(environment, images, context);
  },
});

/** What an install of the selection needs of these images: nodes of minikube get them, an existing cluster has to have them, simulated pods need none. */
export function imagesFor(options: Options, selected: Selection): Needs {
  switch (environmentOf(options).provider) {
    case 'minikube':
      return [need(loadImages, selected)];
    case 'existing':
      return [need(checkImages, selected)];
    default:
      return [];
  }
}
