import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import { shellWords } from '../../ground/shell-words.ts';
import { kubectlList, type Named } from '../../kubernetes/kubectl.ts';
import type { Environment, EnvironmentContext, InEnvironment, Outcome } from '../../settings/context.ts';
import { fullName } from '../../tools/registry.ts';
import { type BuiltImage, tagged } from '../images/own-images.ts';
import { minikubeReason, minikubeShell, runMinikube } from './shell.ts';

/** Saves images into one archive, under the name that pods ask for and the one by their inputs. */
const saveSteps = (images: readonly BuiltImage[], archive: string): readonly (readonly string[])[] => [
  ...images.map((image) => ['docker', 'tag', image.built, tagged(image)]),
  ['docker', 'save', '--output', archive, ...images.flatMap((image) => [tagged(image), image.built])],
];

/**
 * Loads an archive into every node. With an image's name instead, minikube asks the registry, uses a cache shared
 * with other clusters, and does not replace an image in use.
 */
const loadWords = ({ clusterName }: Environment, archive: string): readonly string[] => [
  ...['image', 'load', archive, '--profile', clusterName],
];

/** The plain commands of `loadImages`. */
export function loadCommands({ environment }: InEnvironment, images: readonly BuiltImage[]): string[] {
  if (images.length === 0) return [];
  const archive = `.state/${environment.name}/images.tar`;
  return [
    ...saveSteps(images, archive).map(shellWords),
    shellWords(['minikube', ...loadWords(environment, archive)]),
    `rm ${archive}`,
  ];
}

/** Loads images that a node lacks. Asks the nodes before and after, as minikube exits with 0 even if loading failed. */
export async function loadImages(
  context: EnvironmentContext,
  images: readonly BuiltImage[],
): Promise<Outcome> {
  const { $, environment } = context;
  if (images.length === 0) return 'unchanged';
  const lacking = (await lackingIn(context, images)).map(({ image }) => image);
  if (lacking.length === 0) return 'unchanged';
  const archive = join(environment.state, 'images.tar');
  try {
    for (const step of saveSteps(lacking, archive)) await $`${step}`;
    await runMinikube(context, loadWords(environment, archive));
  } finally {
    await rm(archive, { force: true });
  }
  const [left] = await lackingIn(context, lacking);
  if (left === undefined) return 'changed';
  throw new TaskError({
    what: `the image ${tagged(left.image)} did not arrive in ${left.nodes.join(', ')}`,
    why: '`minikube image load` succeeds even if a node refuses the image',
    advice: `see the reason, often a full disk: minikube logs --profile ${environment.clusterName}`,
  });
}

type Lacking = { readonly image: BuiltImage; readonly nodes: readonly string[] };

async function lackingIn(context: EnvironmentContext, images: readonly BuiltImage[]): Promise<Lacking[]> {
  const nodes = await kubectlList<Named>(context, 'get', 'nodes');
  if (nodes.length === 0) {
    throw new TaskError({
      what: 'the cluster has no nodes to load an image into',
      why: '`kubectl get nodes` lists none',
      advice: `run ${taskCommand('create-environment')}, then try again`,
    });
  }
  const contents = await Promise.all(
    nodes.map(async ({ metadata: { name } }) => ({ name, held: await imagesOf(context, name) })),
  );
  return images.flatMap((image) => {
    const wanted = [tagged(image), image.built].map(fullName);
    const without = contents.filter(
      ({ held }) => !held.some((names) => wanted.every((one) => names.has(one))),
    );
    return without.length === 0 ? [] : [{ image, nodes: without.map(({ name }) => name) }];
  });
}

/** Copy of the archive that `minikube image load` leaves in each node. */
const copy = '/var/lib/minikube/images/images.tar';

/** A node's images, each as a set of names. Removes the copy on the way, as every `minikube ssh` takes a second. */
async function imagesOf(context: EnvironmentContext, node: string): Promise<Set<string>[]> {
  const { clusterName } = context.environment;
  const $ = (await minikubeShell(context))({ quiet: true, nothrow: true });
  const list = ['--profile', clusterName, '--node', node, '--', 'sudo', 'crictl', 'images'];
  // minikube joins the words to a command line for the node's shell.
  const output = await $`minikube ssh ${list} --output json ${['&&', 'sudo', 'rm', '-f', copy]}`;
  // minikube gives the command a terminal, so warnings may surround the JSON.
  const [json = ''] = /\{[\s\S]*\}/.exec(output.stdout) ?? [];
  try {
    if (output.exitCode !== 0) throw new Error(minikubeReason(output));
    const { images } = JSON.parse(json) as { images: { repoTags?: string[] }[] };
    return images.map(({ repoTags }) => new Set(repoTags?.map(fullName)));
  } catch (error) {
    context.signal.throwIfAborted();
    const said = output.exitCode === 0 ? `, in: ${output.stdout.trim().slice(0, 200)}` : '';
    throw new TaskError({
      what: `cannot list the images of node ${node}`,
      why: `${(error as Error).message}${said}`,
      advice: `try: minikube ssh ${shellWords(list)}`,
    });
  }
}
