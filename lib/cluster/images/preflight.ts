import { quote, TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../../ground/launcher.ts';
import { itemsOf, kubectl, kubectlText } from '../../kubernetes/kubectl.ts';
import type { EnvironmentContext, InEnvironment } from '../../settings/context.ts';
import { type Answer, askRegistry, fullName, namesHost, parseRepository } from '../../tools/registry.ts';
import { reasonOf } from '../../tools/tool-answer.ts';
import { type OwnImage, tagged } from './own-images.ts';

/**
 * A node's images. It lists at most the 50 largest (kubelet's `nodeStatusMaxImages`), so a full list proves nothing.
 */
type Node = { readonly name: string; readonly images: ReadonlySet<string>; readonly full: boolean };

const listLength = 50;

const nameOf = (image: OwnImage): string =>
  fullName(image.digest === '' ? tagged(image) : `${image.repository}@${image.digest}`);

/**
 * Why the cluster may lack an image; undefined if it does not. It is only missing if its registry says so and certainly
 * no node has it. A node's login may change the registry's answer, except for a name without a host: that is meant for
 * loaded images, not for Docker Hub.
 */
export function judge(image: OwnImage, nodes: readonly Node[] | undefined, answer: Answer) {
  const { host } = parseRepository(image.repository);
  const holders = (nodes ?? []).filter(({ images }) => images.has(nameOf(image)));
  const surely = nodes?.every(({ full }) => !full) === true && holders.length === 0;
  const held =
    holders.length > 0
      ? `only ${holders.map(({ name }) => name).join(', ')} of ${nodes?.length} nodes has it`
      : surely
        ? `none of ${nodes?.length} nodes has it`
        : 'a node may have it';
  if (answer === 200 || (answer !== 404 && holders.length > 0)) return undefined;
  // Some registries, such as Docker Hub, also ask for a login if an image is missing.
  const denied = answer === 401 || answer === 403;
  const unknown = typeof answer === 'number' ? `it answers ${answer}` : answer;
  const asked = denied ? 'shows no such image without a login' : `could not be asked (${unknown})`;
  const said = answer === 404 ? 'does not have it' : asked;
  const isCertain = answer === 404 || (denied && !namesHost(image.repository));
  return { isMissing: surely && isCertain, why: `${host} ${said}, and ${held}` };
}

/** The plain commands of `checkImages`. */
export const preflightCommands = ({ environment }: InEnvironment, images: readonly OwnImage[]): string[] =>
  images.length === 0
    ? []
    : [
        `${kubectlText(environment)} get nodes -o json`,
        ...images.map((image) => `docker manifest inspect ${nameOf(image)}`),
      ];

/** Throws `TaskError` with advice to push images that the cluster cannot pull; logs those it could not check. */
export async function checkImages(context: EnvironmentContext, images: readonly OwnImage[]): Promise<void> {
  if (images.length === 0) return;
  const nodes = await nodesOf(context);
  const missing: { image: OwnImage; why: string }[] = [];
  for (const image of images) {
    if (nodes !== undefined && nodes.length > 0 && nodes.every(({ images }) => images.has(nameOf(image))))
      continue;
    const version = image.digest === '' ? image.tag : image.digest;
    const verdict = judge(image, nodes, await askRegistry(image.repository, version, context.signal));
    if (verdict?.isMissing) missing.push({ image, why: verdict.why });
    else if (verdict) context.log(`warning: the image ${nameOf(image)} may be missing: ${verdict.why}`);
  }
  if (missing.length === 0) return;
  throw new TaskError({
    what: `missing in the cluster: ${missing.map(({ image }) => `the image ${nameOf(image)} of ${image.releases.join(' and ')}`).join(', ')}`,
    why: missing.map(({ why }) => why).join('; '),
    advice: missing.map(({ image }) => howToPush(image)).join('\n'),
  });
}

export function howToPush({ name, repository, tag, digest, folder }: OwnImage): string {
  const setting = `images.${name}`;
  const reference = `${namesHost(repository) ? repository : 'REPOSITORY'}:${tag}`;
  const push =
    name === 'backendVerification'
      ? `run ${taskCommand(`build-push-backend-verification ${tag}`)}`
      : `run docker build --tag ${reference} ${quote(folder)} && docker push ${reference}`;
  const pushed = `${push}${digest === '' ? '' : `, and put its new digest into ${setting}.digest`}`;
  if (namesHost(repository)) return pushed;
  return (
    `set ${setting}.repository to one of a registry that the nodes can reach, then ${pushed}; ` +
    `where the nodes get it by a login or from a mirror, name its host: ${fullName(repository)}`
  );
}

/** Nodes with their images; undefined, with a warning, if the user may not list nodes. */
async function nodesOf(context: EnvironmentContext): Promise<Node[] | undefined> {
  const { environment } = context;
  const $ = context.$({ quiet: true, nothrow: true });
  const output = await $`${kubectl(environment)} get nodes -o json`;
  if (output.exitCode !== 0) {
    context.log(`warning: cannot check which images the nodes have: ${reasonOf(output)}`);
    return undefined;
  }
  type Node = { metadata: { name: string }; status?: { images?: { names?: string[] }[] } };
  return itemsOf<Node>('kubectl get nodes -o json', output).map(
    ({ metadata, status: { images = [] } = {} }) => ({
      name: metadata.name,
      images: new Set(images.flatMap(({ names = [] }) => names.map(fullName))),
      full: images.length >= listLength,
    }),
  );
}
