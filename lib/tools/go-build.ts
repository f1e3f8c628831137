import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { CommandOutput } from '@k8s-deployment/runner';
import { passedOn } from '../ground/variables.ts';
import { copyFiles, refuseFullDisk } from './cache.ts';
import { type GoRecipe, goModules, type ToolWith } from './manifest.ts';
import { type Detail, lastWords, type Making, type WayResult, withProgress } from './tool-context.ts';

type GoTool = ToolWith<'go'>;

/** Build flags, the same for all tools so that they share Go's build cache. */
export function buildFlags(recipe: GoRecipe): string[] {
  const ldflags = ['-s -w', recipe.ldflags ?? ''].join(' ').trim();
  const tags = recipe.tags === undefined ? [] : ['-tags', recipe.tags];
  // `-s -w` drops the debug information, so the compiler need not generate it.
  const gcflags = '-gcflags=all=-dwarf=false';
  return ['-mod=readonly', '-trimpath', '-buildvcs=false', gcflags, ...tags, '-ldflags', ldflags];
}

/** Value of `CGO_ENABLED`: off unless the program needs a C compiler. */
export const cgoEnabled = (recipe: GoRecipe): '0' | '1' => (recipe.cgo ? '1' : '0');

/** A build's module files, flags and package. */
export function goRecipe(entry: GoTool): string {
  const module = moduleFolder(entry.go);
  const files = readdirSync(module, { withFileTypes: true }).filter((entry) => entry.isFile());
  const names = files.map(({ name }) => name).sort();
  const pins = names.map((file) => readFileSync(join(module, file), 'utf8'));
  const { package: name, folders = {}, files: copied, cgo } = entry.go;
  const more = [...(cgo ? ['cgo'] : []), ...(copied ? [copied] : [])];
  return [...pins, JSON.stringify([name, buildFlags(entry.go), folders, ...more])].join('');
}

function whyFailed({ exitCode, stderr }: CommandOutput, command: string): WayResult | undefined {
  if (exitCode === 0) return undefined;
  refuseFullDisk(stderr);
  const advice = 'make a Go module proxy available';
  return { reason: `\`${command}\` failed: ${lastWords(stderr)}`, advice };
}

/** Builds a tool from its pinned module with the Go toolchain `go`. Throws `TaskError` if the disk is full. */
export async function buildWithGo(making: Making<GoTool>, go: string): Promise<WayResult> {
  const { entry, folder, signal } = making;
  const work = join(folder, 'go-work');
  await mkdir(work);
  const env = goEnvironment(entry.go, work);
  const $ = making.$({ cwd: moduleFolder(entry.go), env, quiet: true, nothrow: true });
  const tool = `${entry.name} ${entry.version}`;
  // With the same flags as the build, which otherwise compiles others.
  const listing = $`${go} list -deps ${buildFlags(entry.go)} -f ${'{{if .Stale}}{{.ImportPath}}{{end}}'} ${entry.go.package}`;
  const fetched = downloads(listing.stderr);
  const list = await withProgress(making, `preparing ${tool}`, listing, fetched);
  const unlisted = whyFailed(list, `go list ${entry.go.package}`);
  if (unlisted !== undefined) return unlisted;
  const command = $`nice -n 10 ${go} build -v ${buildFlags(entry.go)} -o ${join(folder, entry.name)} ${entry.go.package}`;
  const compiled = packages(command.stderr, new Set(list.stdout.trim().split('\n')));
  const run = await withProgress(making, `building ${tool}`, command, compiled);
  const unbuilt = whyFailed(run, `go build ${entry.go.package}`);
  if (unbuilt !== undefined) return unbuilt;
  const copy = async (name: string, words: readonly string[], of: string, path: string) => {
    const list = await $`${go} list -mod=readonly ${words} ${of}`;
    const unlisted = whyFailed(list, `go list ${of}`);
    if (unlisted === undefined) copyFiles(join(list.stdout.trim(), path), join(folder, name));
    return unlisted;
  };
  for (const [name, source] of Object.entries(entry.go.folders ?? {})) {
    const uncopied = await copy(name, ['-f', '{{.Module.Dir}}'], entry.go.package, source);
    signal.throwIfAborted();
    if (uncopied !== undefined) return uncopied;
  }
  for (const [name, { module, path }] of Object.entries(entry.go.files ?? {})) {
    const missing = whyFailed(await $`${go} mod download ${module}`, `go mod download ${module}`);
    const uncopied = missing ?? (await copy(name, ['-m', '-f', '{{.Dir}}'], module, path));
    signal.throwIfAborted();
    if (uncopied !== undefined) return uncopied;
  }
  await rm(work, { recursive: true, force: true });
  return { program: entry.name };
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

/** How many modules Go has begun to download. */
function downloads(stream: Readable): () => Detail {
  let count = 0;
  createInterface({ input: stream }).on('line', (line) => {
    if (line.startsWith('go: downloading ')) count += 1;
  });
  return () => (count === 0 ? {} : { text: `${count} modules downloaded` });
}

/** How many of the packages are compiled: `go build -v` prints each one when it begins with it. */
function packages(stream: Readable, all: ReadonlySet<string>): () => Detail {
  const total = all.size;
  let begun = 0;
  createInterface({ input: stream }).on('line', (line) => {
    if (all.has(line)) begun += 1;
  });
  return () => {
    if (begun === 0) return {};
    // The program itself comes last; linking takes a while.
    const text = begun === total ? 'linking' : `${begun} of ${total} packages`;
    return { text, share: { done: begun - 1, total } };
  };
}
