import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { taskCommand } from '../ground/launcher.ts';
import { cacheError, copyFiles, refuseFullDisk } from './cache.ts';
import type { ArchiveRecipe, ImageRecipe, ToolWith } from './manifest.ts';
import {
  contentDigest,
  type ImageManifest,
  type OpenRepository,
  openRepository,
  reasonOf,
  saveVerified,
  serverOf,
} from './registry.ts';
import { whyUnreachable } from './release-host.ts';
import {
  bytesDetail,
  type Detail,
  type Failure,
  lastWords,
  type Making,
  type ToolContext,
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
  const content = await (await fetchArchive(archive, signal)).arrayBuffer();
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
  const { entry, version, folder, signal } = making;
  const image = entry.image as PinnedImage;
  const work = join(folder, 'work');
  let detail: Detail = {};
  const onBytes = (done: number, total: number): void => {
    detail = bytesDetail(done, total);
  };
  const take = async (): Promise<void> => {
    await mkdir(work);
    await takeProgram(openRepository(image.repository, signal), image, work, making, onBytes);
    await rename(join(work, image.program), join(folder, entry.name));
    await takeFolders(image.archive, work, folder, making, onBytes);
    await rm(work, { recursive: true });
  };
  try {
    await withProgress(making, `downloading ${entry.name} ${version}`, take(), () => detail);
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

type OnBytes = (done: number, total: number) => void;

async function takeProgram(
  repository: OpenRepository,
  { program, repository: name, digest }: PinnedImage,
  folder: string,
  context: ToolContext,
  onBytes: OnBytes,
): Promise<void> {
  const architecture = architectures[process.arch] ?? process.arch;
  let { manifest }: { manifest: ImageManifest } = await repository.manifest(digest);
  if (manifest.manifests !== undefined) {
    const build = manifest.manifests.find(
      ({ platform }) => platform?.os === 'linux' && platform.architecture === architecture,
    );
    if (build === undefined) throw new Error(`${name} has no image for linux/${architecture}`);
    manifest = (await repository.manifest(build.digest)).manifest;
  }
  const file = join(folder, 'layer');
  // Top layer first, since it hides lower ones.
  for (const layer of [...(manifest.layers ?? [])].reverse()) {
    await saveVerified(await repository.blob(layer.digest), file, layer.digest, context.signal, onBytes);
    const members = (await tar(context, folder, '-tf', file)).split('\n');
    const member = members.find((path) => path.replace(/^(\.?\/)+/, '') === program);
    if (member === undefined) continue;
    await tar(context, folder, '-xof', file, member);
    return;
  }
  throw new Error(`${name} has no program ${program}`);
}

/** Copies folders out of an archive. */
async function takeFolders(
  archive: PinnedImage['archive'],
  work: string,
  folder: string,
  context: ToolContext,
  onBytes: OnBytes,
): Promise<void> {
  const file = join(work, 'archive');
  const response = await fetchArchive(archive, context.signal);
  await saveVerified(response, file, `sha256:${archive.sha256}`, context.signal, onBytes);
  await tar(context, work, '-xof', file);
  for (const [name, source] of Object.entries(archive.folders))
    copyFiles(join(work, source), join(folder, name));
}

async function fetchArchive({ url }: ArchiveRecipe, signal: AbortSignal): Promise<Response> {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new Error(`${url} answered HTTP ${response.status}`);
  return response;
}

/** Runs tar in a folder and returns its output. GNU and BSD tar detect the compression. */
async function tar(context: ToolContext, folder: string, ...words: string[]): Promise<string> {
  const run = await context.$({ cwd: folder, quiet: true, nothrow: true })`tar ${words}`;
  context.signal.throwIfAborted();
  refuseFullDisk(run.stderr);
  if (run.exitCode !== 0) throw new Error(`tar failed: ${lastWords(run.stderr)}`);
  return run.stdout;
}
