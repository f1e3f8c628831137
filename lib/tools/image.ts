import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';
import { cacheError, copyFiles, refuseFullDisk } from './cache.ts';
import type { ImageRecipe, ToolWith } from './manifest.ts';
import { contentDigest, openRepository, reasonOf, saveVerified, serverOf } from './registry.ts';
import { whyUnreachable } from './release-host.ts';
import {
  bytesDetail,
  type Detail,
  type Failure,
  lastWords,
  type Making,
  type WayResult,
  withProgress,
} from './tool-context.ts';

type PinnedImage = ImageRecipe & {
  readonly digest: string;
  readonly archive: { readonly sha256: string };
};

const isPinned = (recipe: ImageRecipe): recipe is PinnedImage =>
  recipe.digest !== undefined && recipe.archive.sha256 !== undefined;

/** Current checksums from the registry and the archive's host, to pin. Throws `Error` with a short reason. */
export async function currentPins(
  { repository, tag, archive }: ImageRecipe,
  signal: AbortSignal,
): Promise<{ readonly digest: string; readonly sha256: string }> {
  const { digest } = await openRepository(repository, signal).manifest(tag);
  const content = await (await fetchArchive(archive.url, signal)).arrayBuffer();
  return { digest, sha256: contentDigest(Buffer.from(content)).replace('sha256:', '') };
}

export async function whyNoImage({ image }: ToolWith<'image'>): Promise<Failure | undefined> {
  return isPinned(image)
    ? whyUnreachable(serverOf(image.repository), 'registry')
    : { reason: `its checksums are not pinned yet (${taskCommand('update tools')} fills them in)` };
}

/**
 * Extracts the program from its published image with pinned checksums, and folders from an archive, by HTTP without
 * Docker. Throws `TaskError` for another checksum or a full disk, as no other way would help.
 */
export async function getFromImage(making: Making<ToolWith<'image'>>): Promise<WayResult> {
  const { entry, folder, signal } = making;
  let detail: Detail = {};
  const work = join(folder, 'work');
  const file = join(work, 'download');
  const save = (response: Response, digest: string): Promise<void> =>
    saveVerified(response, file, digest, signal, (done, total) => {
      detail = bytesDetail(done, total);
    });
  // GNU and BSD tar detect the compression.
  const tar = async (...words: string[]): Promise<string> => {
    const run = await making.$({ cwd: work, quiet: true, nothrow: true })`tar ${words}`;
    signal.throwIfAborted();
    refuseFullDisk(run.stderr);
    if (run.exitCode !== 0) throw new Error(`tar failed: ${lastWords(run.stderr)}`);
    return run.stdout;
  };
  const take = async ({ repository: name, digest, program, archive }: PinnedImage): Promise<void> => {
    await mkdir(work);
    const repository = openRepository(name, signal);
    let member: string | undefined;
    for (const layer of await layersOf(repository, name, digest)) {
      await save(await repository.blob(layer), layer);
      const members = (await tar('-tf', file)).split('\n');
      member = members.find((path) => path.replace(/^(\.?\/)+/, '') === program);
      if (member !== undefined) break;
    }
    if (member === undefined) throw new Error(`${name} has no program ${program}`);
    await tar('-xof', file, member);
    await rename(join(work, program), join(folder, entry.name));
    await save(await fetchArchive(archive.url, signal), `sha256:${archive.sha256}`);
    await tar('-xof', file);
    for (const [target, source] of Object.entries(archive.folders))
      copyFiles(join(work, source), join(folder, target));
    await rm(work, { recursive: true });
  };
  try {
    const taking = take(entry.image as PinnedImage);
    await withProgress(making, `downloading ${entry.name} ${entry.version}`, taking, () => detail);
    return { program: entry.name };
  } catch (error) {
    signal.throwIfAborted();
    const told = cacheError(error);
    if (told instanceof TaskError) throw told;
    return { reason: reasonOf(error as Error) };
  }
}

/** Names of architectures in images by Node's, if different. */
const architectures: { readonly [node: string]: string } = { x64: 'amd64' };

/** Digests of an image's layers for this machine, the top one first, since it hides lower ones. */
async function layersOf(
  repository: ReturnType<typeof openRepository>,
  name: string,
  digest: string,
): Promise<string[]> {
  const architecture = architectures[process.arch] ?? process.arch;
  let { manifest } = await repository.manifest(digest);
  if (manifest.manifests !== undefined) {
    const build = manifest.manifests.find(
      ({ platform }) => platform?.os === 'linux' && platform.architecture === architecture,
    );
    if (build === undefined) throw new Error(`${name} has no image for linux/${architecture}`);
    ({ manifest } = await repository.manifest(build.digest));
  }
  return (manifest.layers ?? []).map((layer) => layer.digest).reverse();
}

async function fetchArchive(url: string, signal: AbortSignal): Promise<Response> {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new Error(`${url} answered HTTP ${response.status}`);
  return response;
}
