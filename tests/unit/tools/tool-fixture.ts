import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { GoRecipe, ToolEntry } from '../../../lib/tools/manifest.ts';
import type { ToolContext } from '../../../lib/tools/tool-context.ts';
import { plainShell } from '../../rig/task-context.ts';

export type Place = ReturnType<typeof placeIn>;

function placeIn(folder: string) {
  const bin = join(folder, 'bin');
  const logged: string[] = [];
  const abort = new AbortController();
  const context: ToolContext = {
    $: plainShell(),
    signal: abort.signal,
    log: (line) => logged.push(line),
    progress: () => {},
  };
  return {
    folder,
    /** The only folder of PATH that is not the system's. */
    bin,
    /** What is in the cache, half-made things included. */
    cache: join(folder, 'cache', 'k8s-deployment'),
    /** The log of the context. */
    logged,
    context,
    abort,
    /** Puts a shell script on PATH. */
    script: (name: string, text: string): string => writeScript(join(bin, name), text),
    /** Lines that scripts appended to `$LOG`. */
    calls: (): string[] => {
      const log = join(folder, 'calls');
      return existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
    },
  };
}

/** A separate PATH, cache and context for the body; all are removed afterwards. */
export async function inPlace(body: (place: Place) => Promise<void> | void): Promise<void> {
  const place = placeIn(mkdtempSync(join(tmpdir(), 'tools-')));
  const { folder, bin } = place;
  const changes = {
    // Programs of the system (sh, nice, mkdir) stay, so the tools of the tests have names that no system has.
    PATH: [bin, '/usr/bin', '/bin'].join(delimiter),
    XDG_CACHE_HOME: join(folder, 'cache'),
    LOG: join(folder, 'calls'),
    HTTPS_PROXY: undefined,
    https_proxy: undefined,
  };
  const before = Object.keys(changes).map((name) => [name, process.env[name]] as const);
  setVariables(Object.entries(changes));
  mkdirSync(bin);
  try {
    await body(place);
  } finally {
    setVariables(before);
    rmSync(folder, { recursive: true, force: true });
  }
}

export function writeScript(path: string, body: string): string {
  mkdirSync(dirname(path), { recursive: true });
  // Variables of the tests do not reach the programs that install a tool.
  writeFileSync(path, `#!/bin/sh\nLOG='${process.env.LOG}'\n${body}\n`, { mode: 0o755 });
  return path;
}

/** A tool that no machine has. */
export function entryOf(changes: Partial<ToolEntry>): ToolEntry {
  return { name: 'hammer', for: 'tests', versionCommand: ['--version'], advice: 'ask the smith', ...changes };
}

/** The Go toolchain that scripts of the tests play. */
export const toolchain: ToolEntry = {
  name: 'fake-go',
  for: 'tests',
  minimum: '1.21.0',
  versionCommand: ['version'],
  advice: 'ask the gopher',
};

function goScript(before: string): string {
  return `
if [ "$1" = version ]; then echo go version go1.26.8 linux/amd64; exit 0; fi
if [ "$1" = list ]; then printf '%s\\n' example.org/nail example.org/hammer; exit 0; fi
echo "$*" >> "$LOG"
${before}
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\necho hammer 1.2.3\\n' > "$2"
chmod +x "$2"`;
}

/** A Go module for a recipe: only its files' contents matter to a fake Go. */
function moduleOf(folder: string): string {
  const module = join(folder, 'module');
  mkdirSync(module, { recursive: true });
  writeFileSync(join(module, 'go.mod'), 'module hammer\n');
  writeFileSync(join(module, 'go.sum'), '');
  return module;
}

/** A tool in its pinned version with the Go module of the place, and a `fake-go` that builds it after `before`. */
export function builtTool({ folder, script }: Place, before = ''): ToolEntry & { readonly go: GoRecipe } {
  script('fake-go', goScript(before));
  const go = { module: moduleOf(folder), package: 'example.org/hammer' };
  return { ...entryOf({ version: '1.2.3' }), go };
}

function setVariables(variables: Iterable<readonly [string, string | undefined]>): void {
  for (const [name, value] of variables) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
}
