import { dirname } from 'node:path';
import { MissingToolError } from '@k8s-deployment/runner';
import { type CacheEntry, cacheFolder, findEntry } from './cache.ts';
import { buildWithGo, goEntry } from './go-build.ts';
import { getFromImage, imageEntry } from './image.ts';
import { keepTool } from './keep-tool.ts';
import { loadManifest, type ToolEntry, type ToolWith } from './manifest.ts';
import { installNpmPackage, npmEntry } from './npm-package.ts';
import { findOnPath } from './on-path.ts';
import { nixosAdvice } from './prebuilt.ts';
import { getRelease, releaseEntry } from './release.ts';
import type { Failure, ToolContext, WayResult } from './tool-context.ts';
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
  const version = pinnedVersion(entry, requirement);
  if (version === undefined) return onPath;
  for (const { source, cached } of ways) {
    const program = cached(entry, version);
    if (program !== undefined) return found(version, program, source);
  }
  return onPath;
}

/**
 * The tool, installed if missing: from its published release or image, else built from pinned Go modules, else from
 * npm, as the manifest allows. Throws `MissingToolError` (127) with each attempt's failure, `TaskError` if the cache
 * is not writable. `toolchain` is the Go to build with; default: the manifest's.
 */
export async function getTool(
  entry: ToolEntry,
  requirement: Requirement,
  context: ToolContext,
  toolchain?: ToolEntry,
): Promise<FoundTool> {
  const there = await lookForTool(entry, requirement);
  if (!('reason' in there)) return there;
  const failed: Attempt[] = [{ label: 'PATH', reason: there.reason, advice: nixosAdvice(entry.name) }];
  const version = pinnedVersion(entry, requirement);
  if (version === undefined) throw missing(entry, requirement, failed);
  for (const { source, label, get } of ways) {
    const result = await get(entry, version, context, toolchain);
    if (result === undefined) continue;
    if ('program' in result) {
      context.log(`${entry.name} ${version} ${source === 'go' ? 'built from Go modules' : 'downloaded'}`);
      return found(version, result.program, source);
    }
    failed.push({ label, ...result });
    if (['release', 'image'].includes(source) && entry.go !== undefined) sayOnce(entry, result, context);
  }
  throw missing(entry, requirement, failed);
}

/** The pinned version; undefined if the environment requires another one. */
export function pinnedVersion(entry: ToolEntry, requirement: Requirement): string | undefined {
  const version = versionIn(entry.version ?? '');
  if (version === undefined || versionProblem(version, versionRange(entry, requirement)) !== undefined)
    return undefined;
  return entry.version;
}

type Source = Exclude<FoundTool['source'], 'PATH'>;

/** True if the manifest offers this way to get the tool. Images are for Linux only. */
export const offers = <Way extends Source>(entry: ToolEntry, way: Way): entry is ToolWith<Way> =>
  entry[way] !== undefined && (way !== 'image' || process.platform === 'linux');

type How = readonly [version: string, context: ToolContext, toolchain: ToolEntry | undefined];

function way<Way extends Source>(
  source: Way,
  label: string,
  cacheEntry: (entry: ToolWith<Way>, version: string) => CacheEntry,
  get: (entry: ToolWith<Way>, ...how: How) => Promise<WayResult>,
) {
  return {
    source,
    label,
    cached: (entry: ToolEntry, version: string): string | undefined =>
      offers(entry, source) ? findEntry(cacheEntry(entry, version)) : undefined,
    get: async (entry: ToolEntry, ...how: How): Promise<WayResult | undefined> =>
      offers(entry, source) ? get(entry, ...how) : undefined,
  };
}

/** In the order of attempts. */
const ways = [
  way('release', 'published release', releaseEntry, getRelease),
  way('image', 'published image', imageEntry, getFromImage),
  way('go', 'Go modules', goEntry, async (entry, version, context, toolchain) => {
    const go = await getGo(toolchain ?? (await loadManifest()).tools.go, context);
    const advice = 'make a Go toolchain and a Go module proxy available';
    return 'reason' in go ? { ...go, advice } : buildWithGo(entry, version, go.path, context);
  }),
  way('npm', 'npm package', npmEntry, (entry, version, context) =>
    keepTool(npmEntry(entry, version), entry, context, (folder) =>
      installNpmPackage(entry.npm, folder, context),
    ),
  ),
];

/** The Go toolchain, also a tool of the manifest. */
async function getGo(toolchain: ToolEntry, context: ToolContext): Promise<FoundTool | Failure> {
  try {
    return await getTool(toolchain, {}, context);
  } catch (error) {
    if (!(error instanceof MissingToolError)) throw error;
    return { reason: `no ${describeTool(toolchain, {})} (${error.why?.replaceAll('\n', '; ')})` };
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
  const other = entry.version !== undefined && pinnedVersion(entry, requirement) === undefined;
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
