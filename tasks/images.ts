import { type Needs, need, UsageError } from '@k8s-deployment/runner';
import type { BuiltImage, OwnImage } from '../lib/cluster/images/own-images.ts';
import { shellWords } from '../lib/ground/shell-words.ts';
import type { Selection } from '../lib/helm/helmfile.ts';
import type { Settings } from '../lib/settings/context.ts';
import { createK8s, startK8s } from './cluster.ts';
import { connection } from './connection.ts';
import { type Early, type Input, task } from './environment-task.ts';
import { tools } from './tools.ts';

const own = () => import('../lib/cluster/images/own-images.ts');

const tag = {
  tag: { type: 'string', positional: true, description: "the image's tag, such as 1.2.0" },
} as const;

/** A valid tag (https://github.com/opencontainers/distribution-spec, "Pulling manifests"). */
const tagForm = /^\w[\w.-]{0,127}$/;

/** `repository:tag`. Throws `UsageError` for an invalid tag, such as a branch with a slash. */
function named(repository: string, tagName: string): string {
  if (!tagForm.test(tagName))
    throw new UsageError({
      what: `\`${tagName}\` is not a valid image tag`,
      why: 'a tag has up to 128 letters, digits, `_`, `.` and `-`, and does not begin with `.` or `-`',
      advice: 'replace other characters, for example `/` of a branch by `-`',
    });
  return `${repository}:${tagName}`;
}

const image = ({ images }: Settings, tagName: string): string =>
  named(images.backendVerification.repository, tagName);

/** Throws `UsageError` for an invalid tag, `TaskError` if Docker does not answer. */
async function checkBuild(tagName: string): Promise<void> {
  named('', tagName);
  await (await import('../lib/cluster/minikube/engine.ts')).requireEngine();
}

/** Milliseconds for a build or push, to end one with a hanging network. */
const buildMs = 30 * 60_000;

export const buildBackendVerification = task({
  name: 'build-backend-verification',
  description: 'build the image of the verification program',
  args: tag,
  needs: tools('docker'),
  retries: 1,
  timeoutMs: buildMs,
  check: ({ args }) => checkBuild(args.tag),
  commands: async ({ args, settings }) => {
    const { buildWords } = await own();
    return [shellWords(buildWords(settings, 'docker/backend-verification', image(settings, args.tag)))];
  },
});

export const buildPushBackendVerification = task({
  name: 'build-push-backend-verification',
  description: 'build the image of the verification program and push it',
  args: tag,
  needs: ({ args }) => [need(buildBackendVerification, { tag: args.tag })],
  // A push resumes after the layers that the registry already has.
  retries: 2,
  timeoutMs: buildMs,
  commands: ({ args, settings }) => [shellWords(['docker', 'push', image(settings, args.tag)])],
});

export const buildToolset = task({
  name: 'build-toolset',
  description: 'build an image with all tools; words after `--` go to docker build',
  args: tag,
  passThrough: true,
  needs: tools('docker'),
  // Without releases, tools are compiled.
  timeoutMs: 4 * buildMs,
  check: ({ args }) => checkBuild(args.tag),
  commands: async ({ args, settings, passThrough }) => {
    const { buildWords } = await own();
    const more = ['--file', 'docker/toolset/Dockerfile', ...passThrough];
    return [shellWords(buildWords(settings, '.', named('k8s-deployment/toolset', args.tag), more))];
  },
});

const selection = {
  tier: { type: 'string', optional: true, description: 'a tier' },
  app: { type: 'string', optional: true, description: 'an application' },
} as const;

/** The project's images used by an install of the selection. */
async function imagesOf(selected: Selected): Promise<OwnImage[]> {
  const { selectReleases } = await import('../lib/helm/helmfile.ts');
  const { installed } = await selectReleases(selected, { ...selected.args, withNeeds: true });
  return (await own()).ownImages(selected.settings, installed);
}

type Selected = Pick<Input, 'environment' | 'settings'> & { readonly args: Selection };

const toBuild = async (selected: Selected): Promise<BuiltImage[]> =>
  (await own()).imagesToBuild(selected, await imagesOf(selected));

export const buildImages = task({
  name: 'build-images',
  description: "build the project's images that the selected releases run",
  private: true,
  args: selection,
  needs: tools('docker'),
  // Base images come from a registry, and a build only changes Docker's images.
  retries: 1,
  timeoutMs: buildMs,
  inputs: async (input) => (await toBuild(input)).map(({ folder }) => folder),
  status: async (input) => (await own()).builtCommand(await toBuild(input)),
  commands: async (input) => (await own()).buildCommands(input.settings, await toBuild(input)),
  run: async (context) => (await own()).buildImages(context, await toBuild(context)),
});

export const loadImages = task({
  name: 'load-images',
  description: "load the project's images into the nodes",
  private: true,
  args: selection,
  needs: ({ args, provider }) => [need(buildImages, args), ...tools(...provider.toolsFor.images)],
  after: [createK8s, startK8s],
  // Another clone's build may move the tag between the commands.
  retries: 1,
  commands: async (input) => {
    const { images } = await input.provider.load();
    return images?.commands(input, await toBuild(input)) ?? [];
  },
  run: async (context) => {
    const { requireCluster } = await import('../lib/cluster/cluster.ts');
    const images = await toBuild(context);
    if (images.length > 0) await requireCluster(context);
    const cluster = await context.provider.load();
    return (await cluster.images?.load(context, images)) ?? 'unchanged';
  },
});

export const checkImages = task({
  name: 'check-images',
  description: "check that the cluster can pull the project's images",
  private: true,
  args: selection,
  needs: (input) => [...tools('kubectl'), ...connection(input)],
  after: [createK8s],
  commands: async (input) => {
    const { preflightCommands } = await import('../lib/cluster/images/preflight.ts');
    return preflightCommands(input, await imagesOf(input));
  },
  run: async (context) => {
    const { requireCluster } = await import('../lib/cluster/cluster.ts');
    const { checkImages } = await import('../lib/cluster/images/preflight.ts');
    const images = await imagesOf(context);
    if (images.length > 0) await requireCluster(context);
    await checkImages(context, images);
  },
});

/** The needs of an install of the selection. */
export function imagesFor({ provider }: Pick<Early, 'provider'>, selected: Selection): Needs {
  if (provider.simulatedPods) return [];
  return [need(provider.ownsCluster ? loadImages : checkImages, selected)];
}
