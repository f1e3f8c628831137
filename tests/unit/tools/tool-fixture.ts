import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { test } from 'uvu';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { plainShell } from '../../../lib/runner/tests/rig/shell.ts';
import { platform } from '../../../lib/tools/cache.ts';
import { getTool } from '../../../lib/tools/get-tool.ts';
import { type GoRecipe, loadManifest, type ToolEntry } from '../../../lib/tools/manifest.ts';
import type { ToolContext } from '../../../lib/tools/tool-context.ts';
import type { Requirement } from '../../../lib/tools/versions.ts';

export type Place = ReturnType<typeof placeIn>;

function placeIn(folder: string) {
  const bin = join(folder, 'bin');
  const cache = join(folder, 'cache', 'k8s-deployment');
  const logged: string[] = [];
  const abort = new AbortController();
  const context: ToolContext = {
    $: plainShell(),
    signal: abort.signal,
    log: (line) => logged.push(line),
    progress: () => {},
  };
  const list = (...path: string[]): string[] =>
    existsSync(join(cache, ...path)) ? readdirSync(join(cache, ...path)) : [];
  return {
    folder,
    /** The only folder of PATH that is not the system's. */
    bin,
    cache,
    /** What is in the cache: entries, and what is half made. */
    inCache: () => ({
      ...{ tools: list('tools', platform), temporary: list('temporary', platform), locks: list('locks') },
    }),
    logged,
    context,
    abort,
    get: (entry: ToolEntry, requirement: Requirement = {}, more: Partial<ToolContext> = {}) =>
      withToolchain(() => getTool(entry, requirement, { ...context, ...more })),
    script: (name: string, text: string): string => writeScript(join(bin, name), text),
    calls: (): string[] => {
      const log = join(folder, 'calls');
      return existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
    },
  };
}

export const placed = (name: string, body: (place: Place) => Promise<void> | void): void =>
  test(name, () => inPlace(body));

/** A separate PATH, cache and context for the body; afterwards all variables are as before. */
export async function inPlace(body: (place: Place) => Promise<void> | void): Promise<void> {
  const place = placeIn(temporaryFolder());
  const { folder, bin } = place;
  const before = { ...process.env };
  Object.assign(process.env, {
    // Programs of the system (sh, nice, mkdir) stay, so the tools of the tests have names that no system has.
    PATH: [bin, '/usr/bin', '/bin'].join(delimiter),
    XDG_CACHE_HOME: join(folder, 'cache'),
    LOG: join(folder, 'calls'),
  });
  for (const name of ['HTTPS_PROXY', 'https_proxy']) delete process.env[name];
  mkdirSync(bin);
  try {
    await body(place);
  } finally {
    for (const name of Object.keys(process.env)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

export function writeScript(path: string, body: string): string {
  mkdirSync(dirname(path), { recursive: true });
  // Variables of the tests do not reach the programs that install a tool.
  writeFileSync(path, `#!/bin/sh\nLOG='${process.env.LOG}'\n${body}\n`, { mode: 0o755 });
  return path;
}

export function entryOf(changes: Partial<ToolEntry>): ToolEntry {
  return { name: 'hammer', for: 'tests', versionCommand: ['--version'], advice: 'ask the smith', ...changes };
}

const { tools } = await loadManifest();
const { go } = tools;

/** Calls `body` with a Go toolchain that scripts of the tests play. */
async function withToolchain<Result>(body: () => Promise<Result>): Promise<Result> {
  Object.assign(tools, { go: toolchain });
  return body().finally(() => Object.assign(tools, { go }));
}

const toolchain = entryOf({ name: 'fake-go', minimum: '1.21.0', versionCommand: ['version'] });

const goScript = (before: string): string => `
if [ "$1" = version ]; then echo go version go1.26.8 linux/amd64; exit 0; fi
if [ "$1" = list ]; then printf '%s\\n' example.org/nail example.org/hammer; exit 0; fi
echo "$*" >> "$LOG"
${before}
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\necho hammer 1.2.3\\n' > "$2"
chmod +x "$2"`;

/** A tool in its pinned version with the Go module of the place, and a `fake-go` that builds it after `before`. */
export function builtTool({ folder, script }: Place, before = ''): ToolEntry & { readonly go: GoRecipe } {
  script('fake-go', goScript(before));
  // Only its files' contents matter to a fake Go.
  const module = join(folder, 'module');
  mkdirSync(module, { recursive: true });
  for (const name of ['go.mod', 'go.sum']) writeFileSync(join(module, name), name);
  return { ...entryOf({ version: '1.2.3' }), go: { module, package: 'example.org/hammer' } };
}
