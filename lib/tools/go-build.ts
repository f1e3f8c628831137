import { readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { passedOn } from '../ground/variables.ts';
import { type CacheEntry, copyFiles, diskFull, entryFor } from './cache.ts';
import { keepTool } from './keep-tool.ts';
import { type GoRecipe, goModules, type ToolWith } from './manifest.ts';
import { lastWords, type ToolContext, type WayResult, withProgress } from './tool-context.ts';

type GoTool = ToolWith<'go'>;

/** Build flags, the same for all tools so that they share Go's build cache. */
export function buildFlags(recipe: GoRecipe): string[] {
  const ldflags = ['-s -w', recipe.ldflags ?? ''].join(' ').trim();
  const tags = recipe.tags === undefined ? [] : ['-tags', recipe.tags];
  return ['-mod=readonly', '-trimpath', '-buildvcs=false', ...tags, '-ldflags', ldflags];
}

/** Value of `CGO_ENABLED`: off unless the program needs a C compiler. */
export const cgoEnabled = (recipe: GoRecipe): '0' | '1' => (recipe.cgo ? '1' : '0');

/** The cache entry of a build; go.sum, flags and package are part of it. */
export function goEntry(entry: GoTool, version: string): CacheEntry {
  const module = moduleFolder(entry.go);
  const pins = ['go.mod', 'go.sum'].map((file) => readFileSync(join(module, file), 'utf8'));
  const { package: name, folders = {}, files, cgo } = entry.go;
  const more = [...(cgo ? ['cgo'] : []), ...(files ? [files] : [])];
  const recipe = [...pins, JSON.stringify([name, buildFlags(entry.go), folders, ...more])].join('');
  return entryFor(entry.name, version, 'go', recipe);
}

/** Builds run one at a time in this process, since compilers compete for memory. */
let queue: Promise<unknown> = Promise.resolve();

/** Builds a tool from its pinned module with the Go toolchain `go`. Throws `TaskError` if the disk is full. */
export function buildWithGo(
  entry: GoTool,
  version: string,
  go: string,
  context: ToolContext,
): Promise<WayResult> {
  const result = queue.then(() => {
    context.signal.throwIfAborted();
    return build(entry, version, go, context);
  });
  queue = result.catch(() => {});
  return result;
}

const proxy = 'make a Go module proxy available';

async function build(entry: GoTool, version: string, go: string, context: ToolContext): Promise<WayResult> {
  return keepTool(goEntry(entry, version), entry, context, async (folder) => {
    const work = join(folder, 'go-work');
    await mkdir(work);
    const env = goEnvironment(entry.go, work);
    const $ = context.$({ cwd: moduleFolder(entry.go), env, quiet: true, nothrow: true });
    const command = $`nice -n 10 ${go} build -v ${buildFlags(entry.go)} -o ${join(folder, entry.name)} ${entry.go.package}`;
    const compiling = lastLine(command.stderr);
    const run = await withProgress(context, `building ${entry.name} ${version}`, command, compiling);
    if (/no space left on device|disk quota exceeded/.test(run.stderr)) throw diskFull(lastWords(run.stderr));
    if (run.exitCode !== 0)
      return { reason: `\`go build ${entry.go.package}\` failed: ${lastWords(run.stderr)}`, advice: proxy };
    for (const [name, source] of Object.entries(entry.go.folders ?? {})) {
      const list = await $`${go} list -mod=readonly -f ${'{{.Module.Dir}}'} ${entry.go.package}`;
      copyFiles(join(list.stdout.trim(), source), join(folder, name));
    }
    for (const [name, { module, path }] of Object.entries(entry.go.files ?? {})) {
      const got = await $`${go} mod download ${module}`;
      context.signal.throwIfAborted();
      if (got.exitCode !== 0)
        return { reason: `\`go mod download ${module}\` failed: ${lastWords(got.stderr)}`, advice: proxy };
      const list = await $`${go} list -mod=readonly -m -f ${'{{.Dir}}'} ${module}`;
      copyFiles(join(list.stdout.trim(), path), join(folder, name));
    }
    await rm(work, { recursive: true, force: true });
    return { program: entry.name };
  });
}

/** Folder of go.mod and go.sum. */
export function moduleFolder(recipe: GoRecipe): string {
  return resolve(goModules, recipe.module);
}

/** A build's environment, without the user's settings or a workspace file above the project. */
export function goEnvironment(recipe: GoRecipe, work: string): NodeJS.ProcessEnv {
  // With GOTMPDIR, remains of a killed compiler are removed with the entry.
  return {
    ...passedOn(process.env),
    GOTMPDIR: work,
    CGO_ENABLED: cgoEnabled(recipe),
    GOFLAGS: '',
    GOWORK: 'off',
    GOOS: '',
    GOARCH: '',
  };
}

/** Returns a stream's last line: `go build -v` prints each package that it compiles. */
function lastLine(stream: Readable): () => string {
  let last = '';
  stream.on('data', (chunk: Buffer) => {
    last = chunk.toString().trimEnd().split('\n').at(-1) ?? '';
  });
  return () => (last === '' ? '' : ` (${last})`);
}
