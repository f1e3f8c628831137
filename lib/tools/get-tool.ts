import { dirname } from 'node:path';
import { MissingToolError } from '@k8s-deployment/runner';
import { cacheFolder, entryId, findEntry } from './cache.ts';
import { buildWithGo, goRecipe } from './go-build.ts';
import { getFromImage, whyNoImage } from './image.ts';
import { loadManifest, type PinnedTool, type ToolEntry, type ToolWith } from './manifest.ts';
import { installNpmPackage, npmRecipe } from './npm-package.ts';
import { findOnPath } from './on-path.ts';
import { nixosAdvice, whyNoPrebuilt } from './prebuilt.ts';
import { keepTool } from './program-version.ts';
import { getRelease, type ReleasedTool, releaseRecipe, whyNotReleased } from './release.ts';
import type { Failure, Making, ToolContext, WayResult } from './tool-context.ts';
import { describeTool, type Requirement, versionIn, versionProblem, versionRange } from './versions.ts';

export type FoundTool = {
  /** `4.3.1`, without a leading `v`. */
  readonly version: string;
  /** The program; for PostgreSQL the server `postgres`. */
  readonly path: string;
  readonly source: 'PATH' | 'release' | 'image' | 'go' | 'npm';
  /** The program's folder, including its companions (`initdb` and `pg_ctl`; the operator's `crds/`). */
  readonly folder: string;
};

const seen = new Map<string, FoundTool>();

/** The installed tool from PATH or the cache, or why PATH has no suitable one. Looks once per process. */
export async function lookForTool(entry: ToolEntry, requirement: Requirement): Promise<FoundTool | Failure> {
  const key = JSON.stringify([entry, requirement, process.env.PATH, cacheFolder()]);
  const known = seen.get(key);
  if (known !== undefined) return known;
  const result = await look(entry, requirement);
  if (!('reason' in result)) seen.set(key, result);
  return result;
}

async function look(entry: ToolEntry, requirement: Requirement): Promise<FoundTool | Failure> {
  const onPath = await findOnPath(entry, requirement);
  if ('program' in onPath) return found(onPath.version, onPath.program, 'PATH');
  if (!isPinned(entry, requirement)) return onPath;
  for (const way of waysOf(entry)) {
    const program = findEntry(idOf(way, entry));
    if (program !== undefined) return found(entry.version, program, way.source);
  }
  return onPath;
}

/**
 * The tool, installed if missing: from its published release or image, else built from pinned Go modules, else from
 * npm, as the manifest allows. Throws `MissingToolError` (127) with each attempt's failure, `TaskError` if the cache
 * is not writable.
 */
export async function getTool(
  entry: ToolEntry,
  requirement: Requirement,
  context: ToolContext,
): Promise<FoundTool> {
  const there = await lookForTool(entry, requirement);
  if (!('reason' in there)) return there;
  const failed: Attempt[] = [{ label: 'PATH', reason: there.reason, advice: nixosAdvice(entry.name) }];
  if (!isPinned(entry, requirement)) throw missing(entry, requirement, failed);
  for (const way of waysOf(entry)) {
    context.signal.throwIfAborted();
    const { source, label } = way;
    const make = (folder: string) => way.make({ ...context, entry, folder });
    const result = (await way.obstacle?.(entry)) ?? (await keepTool(idOf(way, entry), entry, context, make));
    if ('program' in result) {
      context.log(
        `${entry.name} ${entry.version} ${source === 'go' ? 'built from Go modules' : 'downloaded'}`,
      );
      return found(entry.version, result.program, source);
    }
    failed.push({ label, ...result });
    if (['release', 'image'].includes(source) && entry.go !== undefined) sayOnce(entry, result, context);
  }
  throw missing(entry, requirement, failed);
}

/** False if no version is pinned, or the environment requires another one. */
export function isPinned(entry: ToolEntry, requirement: Requirement): entry is PinnedTool {
  const version = versionIn(entry.version ?? '');
  return version !== undefined && versionProblem(version, versionRange(entry, requirement)) === undefined;
}

/** A way to get a tool. Its functions get entries with the recipe for it. */
type Way = {
  readonly source: Exclude<FoundTool['source'], 'PATH'>;
  readonly label: string;
  /** What install-tools does with the entry. */
  how(entry: PinnedTool): string;
  /** What the tool is made of: another recipe is another entry of the cache. */
  recipe(entry: PinnedTool): string;
  /** Why it cannot succeed on this machine, if that is known without an attempt. */
  obstacle?(entry: PinnedTool): Failure | undefined | Promise<Failure | undefined>;
  /** Returns the program's path in the folder. */
  make(making: Making): Promise<WayResult>;
};

/** In the order of attempts. */
const ways: readonly Way[] = [
  {
    source: 'release',
    label: 'published release',
    how: ({ release }: ReleasedTool) => `downloads it from ${release.host}`,
    recipe: releaseRecipe,
    obstacle: whyNotReleased,
    make: getRelease,
  },
  {
    source: 'image',
    label: 'published image',
    how: ({ image }: ToolWith<'image'>) => `extracts it from the image ${image.repository}`,
    recipe: ({ image }: ToolWith<'image'>) => JSON.stringify(image),
    obstacle: whyNoImage,
    make: getFromImage,
  },
  {
    source: 'go',
    label: 'Go modules',
    how: () => 'builds it from Go modules',
    recipe: goRecipe,
    make: async (making: Making<ToolWith<'go'>>) => {
      const go = await getGo(making);
      const advice = 'make a Go toolchain and a Go module proxy available';
      return 'reason' in go ? { ...go, advice } : buildWithGo(making, go.path);
    },
  },
  {
    source: 'npm',
    label: 'npm package',
    how: () => 'gets it from npm',
    recipe: npmRecipe,
    obstacle: () => whyNoPrebuilt(),
    make: (making: Making<ToolWith<'npm'>>) => installNpmPackage(making.entry.npm, making.folder, making),
  },
];

/** The ways that the manifest offers. Images are for Linux only. */
export const waysOf = (entry: ToolEntry): Way[] =>
  ways.filter(
    ({ source }) => entry[source] !== undefined && (source !== 'image' || process.platform === 'linux'),
  );

const idOf = ({ source, recipe }: Way, entry: PinnedTool): string => entryId(entry, source, recipe(entry));

/** The Go toolchain, also a tool of the manifest. */
async function getGo(context: ToolContext): Promise<FoundTool | Failure> {
  const { go } = (await loadManifest()).tools;
  try {
    return await getTool(go, {}, context);
  } catch (error) {
    if (!(error instanceof MissingToolError)) throw error;
    return { reason: `no ${describeTool(go, {})} (${error.why?.replaceAll('\n', '; ')})` };
  }
}

function found(version: string, path: string, source: FoundTool['source']): FoundTool {
  return { version, path, source, folder: dirname(path) };
}

const said = new Set<string>();

/** Logs messages that concern all tools once: unreachable hosts, a rate limit, a refused token. */
function sayOnce(entry: ToolEntry, failure: Failure, context: ToolContext): void {
  const { reason, advice = nixosAdvice(entry.name) } = failure;
  const key = reason.includes(' unreachable: ') ? 'unreachable' : reason;
  if (said.has(key)) return;
  said.add(key);
  context.log(
    `${entry.name}: ${reason}; building from Go modules${advice ? ` (to avoid that, ${advice})` : ''}`,
  );
}

type Attempt = Failure & { readonly label: string };

function missing(entry: ToolEntry, requirement: Requirement, failed: readonly Attempt[]): MissingToolError {
  const tool = describeTool(entry, requirement);
  const other = entry.version !== undefined && !isPinned(entry, requirement);
  const reasons = failed.map(({ label, reason }) => `${label}: ${reason}`);
  if (other) reasons.push(`this project installs ${entry.version} only`);
  const setting =
    other && entry.kubernetes !== undefined ? `set cluster.kubernetesVersion to v${entry.version}, or ` : '';
  const advice = failed.flatMap((failure) => failure.advice ?? []);
  return new MissingToolError({
    what: `${tool} is ${reasons.length === 1 ? 'missing' : 'missing and could not be downloaded or built'}`,
    why: reasons.join('\n'),
    advice: [`${setting}put ${tool} on PATH (${entry.advice})`, ...advice].join(', or '),
  });
}
