import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { MissingToolError } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { platform, usesMusl } from '../../../lib/tools/cache.ts';
import { type FoundTool, getTool, lookForTool } from '../../../lib/tools/get-tool.ts';
import { loadManifest, type ToolEntry } from '../../../lib/tools/manifest.ts';
import { pinnedPlatforms } from '../../../lib/tools/mise.ts';
import { listen } from '../../rig/loopback.ts';
import { failureOf } from '../../rig/task-context.ts';
import { builtTool, entryOf, inPlace, type Place, toolchain, writeScript } from './tool-fixture.ts';

const get = (place: Place, entry: ToolEntry): Promise<FoundTool> =>
  getTool(entry, {}, place.context, toolchain);

/** What is in the cache of a place: entries, and what is half made. */
function inCache({ cache }: Place): { tools: string[]; temporary: string[]; locks: string[] } {
  const list = (folder: string) => {
    try {
      return readdirSync(join(cache, folder));
    } catch {
      return [];
    }
  };
  return {
    tools: list(join('tools', platform)),
    temporary: list(join('temporary', platform)),
    locks: list('locks'),
  };
}

async function withServer(body: (host: string) => Promise<void>): Promise<void> {
  const server = createServer((socket) => socket.end());
  try {
    await body(await listen(server));
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

/** Puts a program in the place of the real mise. */
async function fakeMise(place: Place, body: string): Promise<void> {
  const { mise } = await loadManifest();
  const folder = join(place.cache, 'tools', platform, `mise-${mise.version}`);
  writeScript(join(folder, 'mise'), body);
  writeFileSync(join(folder, 'program'), 'mise\n');
}

test('a missing tool is built from its Go module and then found in the cache', () =>
  inPlace(async (place) => {
    const entry = builtTool(place);
    const tool = await get(place, entry);
    assert.is(tool.source, 'go');
    assert.is(tool.version, '1.2.3');
    assert.is(tool.path, join(tool.folder, 'hammer'));
    assert.equal(await lookForTool(entry, {}), tool);
    assert.equal(await get(place, entry), tool);
    assert.is(place.calls().length, 1);
    assert.match(
      place.calls()[0] ?? '',
      /^build -v -mod=readonly -trimpath -buildvcs=false -gcflags=all=-dwarf=false -ldflags -s -w -o \S+\/hammer example\.org\/hammer$/,
    );
    assert.equal(place.logged, ['hammer 1.2.3 built from Go modules']);
    assert.equal(inCache(place).temporary, []);
  }));

test('a build says how many of the packages that are not in the cache it has begun', () =>
  inPlace(async (place) => {
    const seen = join(place.folder, 'seen');
    const wait = (told: string) => `until grep -q ${told} "${seen}"; do sleep 0.05; done`;
    const entry = builtTool(
      place,
      `echo cached/iron >&2; echo example.org/nail >&2\n${wait('packages')}\necho example.org/hammer >&2\n${wait('linking')}`,
    );
    const told = new Map<string, unknown>();
    const progress = (text: string, share?: unknown): void => {
      told.set(text, share);
      writeFileSync(seen, [...told.keys()].join('\n'));
    };
    await getTool(entry, {}, { ...place.context, progress }, toolchain);
    assert.equal(
      [...told],
      [
        ['preparing hammer 1.2.3', undefined],
        ['building hammer 1.2.3', undefined],
        ['1 of 2 packages, building hammer 1.2.3', { done: 0, total: 2 }],
        ['linking, building hammer 1.2.3', { done: 1, total: 2 }],
      ],
    );
  }));

test('PATH comes first, and a cached tool is not run to be found', () =>
  inPlace(async (place) => {
    const entry = builtTool(place);
    const built = await get(place, entry);
    writeFileSync(built.path, readFileSync(built.path, 'utf8').replace('echo', 'fail'));
    assert.is((await get(place, { ...entry, for: 'a look with no memory' })).source, 'go');
    place.script('hammer', 'echo 1.2.0');
    const other = { ...entry, minimum: '1.2.0' };
    assert.is((await get(place, other)).source, 'PATH');
  }));

test('another go.sum is another tool', () =>
  inPlace(async (place) => {
    const entry = builtTool(place);
    const first = await get(place, entry);
    writeFileSync(join(entry.go.module, 'go.sum'), 'changed');
    const second = await get(place, { ...entry, for: 'a look with no memory' });
    assert.is.not(first.folder, second.folder);
    assert.is(inCache(place).tools.length, 2);
  }));

test('a failing build leaves nothing and names every way', () =>
  inPlace(async (place) => {
    // Not a free port: a later server could get it, and answers are remembered.
    const host = '127.0.0.1:1';
    place.script('hammer', 'echo 0.9.1');
    const entry = {
      ...builtTool(
        place,
        'touch "$(dirname "$9")/half"; echo "go: example.org/hammer: no matching hash" >&2; exit 1',
      ),
      minimum: '1.0.0',
      release: { host, package: 'aqua:smith/hammer' },
    };
    const error = await failureOf(get(place, entry));
    assert.instance(error, MissingToolError);
    assert.is(error.exitCode, 127);
    assert.is(error.what, 'hammer 1.0.0 or newer is missing and could not be downloaded or built');
    assert.equal(error.why?.split('\n'), [
      `PATH: hammer 0.9.1 at ${join(place.bin, 'hammer')} is too old`,
      `published release: release host ${host} unreachable: it refuses connections`,
      'Go modules: `go build example.org/hammer` failed: go: example.org/hammer: no matching hash',
    ]);
    assert.match(
      error.advice ?? '',
      /^put hammer 1\.0\.0 or newer on PATH \(ask the smith\), or make \S+ reachable, or make a Go/,
    );
    assert.equal(inCache(place), { tools: [], temporary: [], locks: [] });
  }));

test('without Go the reason says so', () =>
  inPlace(async (place) => {
    const entry = builtTool(place);
    rmSync(join(place.bin, 'fake-go'));
    const error = await failureOf(get(place, entry));
    assert.match(error.why ?? '', /^Go modules: no fake-go 1\.21\.0 or newer \(PATH: not there\)$/m);
    place.script('fake-go', 'echo go1.19.2');
    const old = await failureOf(get(place, entry));
    assert.match(old.why ?? '', /fake-go 1\.19\.2 at \S+ is too old/);
  }));

test('a tool without a source is missing, with how to install it', () =>
  inPlace(async (place) => {
    const error = await failureOf(get(place, entryOf({ minimum: '2.0.0' })));
    assert.is(error.what, 'hammer 2.0.0 or newer is missing');
    assert.is(error.exitCode, 127);
    assert.is(error.advice, 'put hammer 2.0.0 or newer on PATH (ask the smith)');
  }));

test('a version of Kubernetes that is not pinned could not be installed', () =>
  inPlace(async (place) => {
    const entry = entryOf({
      version: '1.31.0',
      kubernetes: 'exact',
      release: { host: 'no.invalid', package: 'x' },
    });
    const error = await failureOf(getTool(entry, { kubernetesVersion: 'v1.30.2' }, place.context, toolchain));
    assert.is(error.what, 'hammer 1.30.2 is missing and could not be downloaded or built');
    assert.match(error.why ?? '', /this project installs 1\.31\.0 only/);
    assert.match(
      error.advice ?? '',
      /^set cluster\.kubernetesVersion to v1\.31\.0, or put hammer 1\.30\.2 on PATH/,
    );
  }));

/** A mise that installs a program into the real folder and writes its checksum to the lockfile. */
const miseScript = (program: string, checksum = 'sha256:played') => `
place="$MISE_DATA_DIR/installs/hammer/1.2.3/bin"; mkdir -p "$place"
printf '#!/bin/sh\necho ${program}\n' | tee "$place/hammer" > "$place/mallet"; chmod +x "$place"/*
printf '[[tools.hammer]]\nversion = "1.2.3"\n\n[tools.hammer."platforms.%s"]\nchecksum = "${checksum}"\n' ${pinnedPlatforms[platform]} > mise.lock`;

test('a release is downloaded by mise, which gets only tokens, mirrors and time limits from the user', () =>
  inPlace(async (place) => {
    await fakeMise(
      place,
      `echo "$*, locked=$MISE_LOCKED token=$MISE_GITHUB_TOKEN time=$MISE_HTTP_TIMEOUT" >> "$LOG"
      echo "  hammer@1.2.3  downloading  11.9s  19.2/63.9 MB · 1.7 MB/s" >&2
      test "$MISE_SYSTEM_PACKAGES_SUDO" = false || exit 9; cat mise.toml >> "$LOG"; ${miseScript('hammer 1.2.3')}`,
    );
    const variables = { MISE_LOCKED: '1', MISE_GITHUB_TOKEN: 'mine', MISE_HTTP_TIMEOUT: '9s' };
    Object.assign(process.env, variables);
    await withServer(async (host) => {
      const entry = entryOf({ version: '1.2.3', release: { host, package: 'aqua:smith/hammer' } });
      const told: unknown[] = [];
      const progress = (...words: unknown[]) => told.push(words);
      const tool = await getTool(entry, {}, { ...place.context, progress }, toolchain);
      assert.equal(told.at(-1), ['19.2 of 63.9 MB, downloading hammer 1.2.3', { done: 19.2, total: 63.9 }]);
      assert.is(tool.source, 'release');
      assert.match(tool.path, /hammer-1\.2\.3-release-[0-9a-f]+\/release\/bin\/hammer$/);
      const [call, ...config] = place.calls();
      assert.is(call, '--yes install, locked= token=mine time=9s');
      assert.equal(config, [
        '[tool_alias]',
        'hammer = "aqua:smith/hammer"',
        '',
        '[tools]',
        'hammer = "1.2.3"',
      ]);
      assert.equal(await lookForTool(entry, {}), tool);
      const release = { host, package: 'aqua:smith/mallet', program: 'mallet' };
      const other = await get(place, entryOf({ version: '1.2.3', release }));
      assert.match(other.path, /\/bin\/mallet$/);
    });
    for (const name of Object.keys(variables)) delete process.env[name];
  }));

test('another program, another version and a download without checksum are not kept', () =>
  inPlace(async (place) => {
    const cases = [
      [miseScript('mallet 1.2.3'), /is not hammer 1\.2\.3: it prints "mallet 1\.2\.3"/],
      [miseScript('hammer 1.2.4'), /is not hammer 1\.2\.3: it prints "hammer 1\.2\.4"/],
      [miseScript('hammer 1.2.3', 'blake3:own'), /has no published checksum, and none is pinned/],
    ] as const;
    await withServer(async (host) => {
      const release = { host, package: 'aqua:smith/hammer' };
      const entry = entryOf({ version: '1.2.3', answers: 'hammer ', release });
      for (const [script, reason] of cases) {
        await fakeMise(place, script);
        const error = await failureOf(get(place, entry));
        assert.match(error.why ?? '', reason);
        assert.equal(inCache(place).temporary, []);
        assert.not.ok(inCache(place).tools.some((name) => name.startsWith('hammer')));
      }
    });
  }));

test('a failed download leaves nothing, is reported once, and the Go module is tried next', () =>
  inPlace(async (place) => {
    await fakeMise(place, 'echo "mise ERROR Failed: 401 Unauthorized (token from GITHUB_TOKEN)" >&2; exit 1');
    await withServer(async (host) => {
      const entry = { ...builtTool(place), release: { host, package: 'aqua:smith/hammer' } };
      assert.is((await get(place, entry)).source, 'go');
      const other = { ...entry, go: { ...entry.go, ldflags: '-X other' } };
      assert.is((await get(place, other)).source, 'go');
    });
    assert.equal(place.logged, [
      'hammer: GitHub refuses the token in GITHUB_TOKEN; building from Go modules (to avoid that, renew or unset GITHUB_TOKEN)',
      'hammer 1.2.3 built from Go modules',
      'hammer 1.2.3 built from Go modules',
    ]);
    assert.equal(inCache(place).temporary, []);
  }));

test('what is published for other systems only is built', () =>
  inPlace(async (place) => {
    const release = { host: 'no.invalid', package: 'aqua:smith/hammer', systems: ['plan9'] };
    const entry = { ...builtTool(place), release };
    assert.is((await get(place, entry)).source, 'go');
    assert.is(place.logged[0], 'hammer: published for plan9 only; building from Go modules');
  }));

test('a cache that cannot be written is an error with advice', () =>
  inPlace(async (place) => {
    writeFileSync(join(place.folder, 'cache'), 'a file where a folder should be');
    const entry = builtTool(place);
    const error = await failureOf(get(place, entry));
    assert.is(error.exitCode, 1);
    assert.match(error.what, /^cannot write to the tool cache /);
    assert.match(error.advice ?? '', /XDG_CACHE_HOME/);
  }));

test('a full disk is reported as such', () =>
  inPlace(async (place) => {
    const entry = builtTool(place, 'echo "write /x/y.a: no space left on device" >&2; exit 1');
    const error = await failureOf(get(place, entry));
    assert.is(error.exitCode, 1);
    assert.match(error.what, /^no space left/);
    assert.match(error.advice ?? '', /XDG_CACHE_HOME/);
    assert.equal(inCache(place), { tools: [], temporary: [], locks: [] });
  }));

test('leftovers of a killed run are removed, and a damaged entry is rebuilt', () =>
  inPlace(async (place) => {
    const entry = builtTool(place);
    const tool = await get(place, entry);
    const [id] = inCache(place).tools;
    mkdirSync(join(place.cache, 'temporary', platform, `${id}~killed`));
    const record = join(tool.folder, 'program');
    const damages = [
      () => rmSync(tool.path),
      () => truncateSync(tool.path),
      () => chmodSync(tool.path, 0o644),
      () => truncateSync(record),
    ];
    for (const [index, damage] of damages.entries()) {
      damage();
      await get(place, { ...entry, for: `look ${index} with no memory` });
      assert.is(place.calls().length, index + 2, String(damage));
      assert.match(readFileSync(tool.path, 'utf8'), /hammer 1\.2\.3/);
    }
    assert.equal(inCache(place).temporary, []);
  }));

test('a stopped run builds nothing more and leaves nothing', () =>
  inPlace(async (place) => {
    place.abort.abort(new Error('stopped'));
    const entry = builtTool(place);
    const error = await get(place, entry).catch((thrown: unknown) => thrown);
    assert.is((error as Error).message, 'stopped');
    assert.equal(place.calls(), []);
    assert.equal(inCache(place), { tools: [], temporary: [], locks: [] });
  }));

test('an npm package is taken when it is the pinned one, once, with the links that npm does not make', () =>
  inPlace(async (place) => {
    const waiting = join(place.folder, 'waiting');
    const body = `echo asked >> "$LOG"
    until test -e "${waiting}"; do sleep 0.05; done
    name=${'$(echo "$*" | sed "s/.* //; s/@[^@]*$//")'}
    mkdir -p "node_modules/$name/native/bin" "node_modules/$name/native/lib"
    printf '#!/bin/sh\\necho hammer 1.2.3\\n' > "node_modules/$name/native/bin/hammer"
    echo library > "node_modules/$name/native/lib/lib.so.1.2"
    echo '[{"source":"native/lib/lib.so.1.2","target":"native/lib/lib.so.1"}]' > "node_modules/$name/native/links.json"
    echo "{\\"packages\\":{\\"node_modules/$name\\":{\\"integrity\\":\\"sha512-good\\"}}}" > node_modules/.package-lock.json`;
    place.script('npm', body);
    const npm = {
      package: '@smith/{platform}',
      version: '1.2.3-beta.1',
      program: 'native/bin/hammer',
      symlinks: 'native/links.json',
      integrity: { [platform]: 'sha512-good' },
    };
    const entry = entryOf({ version: '1.2.3', npm });
    // Two at the same time: one downloads, until the other waits.
    const waits = new RegExp(
      `^hammer-1\\.2\\.3-npm-\\w+: waiting for process ${process.pid}, which is installing it$`,
    );
    const log = (line: string): void => {
      if (waits.test(line)) writeFileSync(waiting, '');
    };
    const both = [1, 2].map(() => getTool(entry, {}, { ...place.context, log }, toolchain));
    const [tool, other] = (await Promise.all(both)) as [FoundTool, FoundTool];
    assert.is(tool.source, 'npm');
    assert.equal(other, tool);
    assert.is(place.calls().length, 1);
    assert.is(readFileSync(join(tool.folder, '..', 'lib', 'lib.so.1'), 'utf8'), 'library\n');
    chmodSync(tool.path, 0o644);
    const changed = entryOf({ version: '1.2.3', npm: { ...npm, integrity: { [platform]: 'sha512-other' } } });
    const error = await failureOf(get(place, changed));
    assert.match(error.why ?? '', /npm package: @smith\/\S+@1\.2\.3-beta\.1 is not the pinned package/);
  }));

test('the error for a package without a build for this platform says so', () =>
  inPlace(async (place) => {
    place.script('npm', 'echo "npm error code E404" >&2; echo "npm error 404 Not Found" >&2; exit 1');
    const npm = { package: '@smith/{platform}', version: '1.2.3', program: 'hammer' };
    const error = await failureOf(get(place, entryOf({ version: '1.2.3', npm })));
    const reason = `npm package: npm has no @smith/${platform}@1.2.3: not published for ${platform}`;
    assert.is(error.why?.split('\n')[1], reason);
  }));

test('a machine whose programs are loaded by musl is of another kind', () =>
  inPlace(({ folder }) => {
    const program = join(folder, 'program');
    const loadedBy = (loader: string) => {
      writeFileSync(program, `\x7fELF${'\0'.repeat(600)}${loader}\0code`);
      return usesMusl(program);
    };
    assert.ok(loadedBy('/lib/ld-musl-x86_64.so.1'));
    assert.not(loadedBy('/lib64/ld-linux-x86-64.so.2'));
  }));

test.run();
