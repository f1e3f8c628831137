import { chmodSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MissingToolError } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { platform, usesMusl } from '../../../lib/tools/cache.ts';
import { lookForTool } from '../../../lib/tools/get-tool.ts';
import { loadManifest } from '../../../lib/tools/manifest.ts';
import { pinnedPlatforms } from '../../../lib/tools/release.ts';
import { serve } from '../../rig/loopback.ts';
import { fails, failureOf } from '../../rig/task-context.ts';
import { builtTool, entryOf, type Place, placed, writeScript } from './tool-fixture.ts';

const nothing = { tools: [], temporary: [], locks: [] };
const npm = { package: '@smith/{platform}', version: '1.2.3', program: 'hammer' };

/** A host that can be reached, for releases that a script plays. */
const host = await serve((_, response) => response.end());
const release = { host, package: 'aqua:smith/hammer' };

async function fakeMise({ cache }: Place, body: string): Promise<void> {
  const { mise } = await loadManifest();
  const folder = join(cache, 'tools', platform, `mise-${mise.version}`);
  writeScript(join(folder, 'mise'), body);
  writeFileSync(join(folder, 'program'), 'mise\n');
}

placed('a missing tool is built from its Go module and then found in the cache', async (place) => {
  const entry = builtTool(place);
  const tool = await place.get(entry);
  assert.equal([tool.source, tool.version, tool.path], ['go', '1.2.3', join(tool.folder, 'hammer')]);
  assert.equal(await lookForTool(entry, {}), tool);
  assert.equal(await place.get(entry), tool);
  const [call = '', ...more] = place.calls();
  assert.match(
    call,
    /^build -v -mod=readonly -trimpath -buildvcs=false -gcflags=all=-dwarf=false -ldflags -s -w -o \S+\/hammer example\.org\/hammer$/,
  );
  assert.equal([more, place.inCache().temporary], [[], []]);
  assert.equal(place.logged, ['hammer 1.2.3 built from Go modules']);
});

placed('a build says how many of the packages that the cache lacks it has begun', async (place) => {
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
  await place.get(entry, {}, { progress });
  assert.equal(Object.fromEntries(told), {
    ...{ 'preparing hammer 1.2.3': undefined, 'building hammer 1.2.3': undefined },
    '1 of 2 packages, building hammer 1.2.3': { done: 0, total: 2 },
    'linking, building hammer 1.2.3': { done: 1, total: 2 },
  });
});

placed('PATH comes first; a cached tool is not run; another go.sum is another tool', async (place) => {
  const entry = builtTool(place);
  const built = await place.get(entry);
  writeFileSync(built.path, readFileSync(built.path, 'utf8').replace('echo', 'fail'));
  assert.equal(await place.get({ ...entry, for: 'a look with no memory' }), built);
  writeFileSync(join(entry.go.module, 'go.sum'), 'changed');
  const other = await place.get({ ...entry, for: 'another look' });
  assert.equal([other.source, other.folder === built.folder], ['go', false]);
  assert.is(place.inCache().tools.length, 2);
  place.script('hammer', 'echo 1.2.0');
  assert.is((await place.get({ ...entry, minimum: '1.2.0' })).source, 'PATH');
});

placed('a failing build leaves nothing and names every way', async (place) => {
  // Not a free port: a later server could get it, and answers are remembered.
  const host = '127.0.0.1:1';
  place.script('hammer', 'echo 0.9.1');
  const failing = 'touch "$(dirname "$9")/half"; echo "go: example.org/hammer: no matching hash" >&2; exit 1';
  const unreachable = { host, package: 'aqua:smith/hammer' };
  const entry = { ...builtTool(place, failing), minimum: '1.0.0', release: unreachable };
  const error = await fails(place.get(entry), {
    what: 'hammer 1.0.0 or newer is missing and could not be downloaded or built',
    why: [
      `PATH: hammer 0.9.1 at ${join(place.bin, 'hammer')} is too old`,
      `published release: release host ${host} unreachable: it refuses connections`,
      'Go modules: `go build example.org/hammer` failed: go: example.org/hammer: no matching hash',
    ].join('\n'),
    advice: /^put hammer 1\.0\.0 or newer on PATH \(ask the smith\), or make \S+ reachable, or make a Go/,
  });
  assert.instance(error, MissingToolError);
  assert.equal(place.inCache(), nothing);
});

placed('a folder of a module that go does not find is a reason', async (place) => {
  const { go, ...entry } = builtTool(place);
  const script = readFileSync(join(place.bin, 'fake-go'), 'utf8');
  place.script('fake-go', `case "$*" in *.Module.Dir*) echo "go: not found" >&2; exit 1 ;; esac\n${script}`);
  const why = /^Go modules: `go list example\.org\/hammer` failed: go: not found$/m;
  await fails(place.get({ ...entry, go: { ...go, folders: { crds: 'config' } } }), { why });
});

placed('the error says what a way lacks: Go, a source, the version, a build for here', async (place) => {
  const entry = builtTool(place);
  rmSync(join(place.bin, 'fake-go'));
  await fails(place.get(entry), { why: /^Go modules: no fake-go 1\.21\.0 or newer \(PATH: not there\)$/m });
  place.script('fake-go', 'echo go1.19.2');
  await fails(place.get(entry), { why: /fake-go 1\.19\.2 at \S+ is too old/ });

  await fails(place.get(entryOf({ minimum: '2.0.0' })), {
    ...{ what: 'hammer 2.0.0 or newer is missing', exitCode: 127 },
    advice: 'put hammer 2.0.0 or newer on PATH (ask the smith)',
  });
  const pinned = entryOf({ version: '1.31.0', kubernetes: 'exact', release });
  await fails(place.get(pinned, { kubernetesVersion: 'v1.30.2' }), {
    what: 'hammer 1.30.2 is missing and could not be downloaded or built',
    why: /this project installs 1\.31\.0 only/,
    advice: /^set cluster\.kubernetesVersion to v1\.31\.0, or put hammer 1\.30\.2 on PATH/,
  });

  place.script('npm', 'echo "npm error code E404" >&2; echo "npm error 404 Not Found" >&2; exit 1');
  const reason = `npm has no @smith/${platform}@1.2.3: not published for ${platform}`;
  await fails(place.get(entryOf({ version: '1.2.3', npm })), {
    why: `PATH: not there\nnpm package: ${reason}`,
  });
});

/** A mise that installs a program into the real folder and writes its checksum to the lockfile. */
const miseScript = (program: string, checksum = 'sha256:played') => `
place="$MISE_DATA_DIR/installs/hammer/1.2.3/bin"; mkdir -p "$place"
printf '#!/bin/sh\necho ${program}\n' | tee "$place/hammer" > "$place/mallet"; chmod +x "$place"/*
printf '[[tools.hammer]]\nversion = "1.2.3"\n\n[tools.hammer."platforms.%s"]\nchecksum = "${checksum}"\n' ${pinnedPlatforms[platform]} > mise.lock`;

placed('mise downloads a release, with only tokens, mirrors and time limits of the user', async (place) => {
  await fakeMise(
    place,
    `echo "$*, locked=$MISE_LOCKED token=$MISE_GITHUB_TOKEN time=$MISE_HTTP_TIMEOUT" >> "$LOG"
  echo "  hammer@1.2.3  downloading  11.9s  19.2/63.9 MB · 1.7 MB/s" >&2
  test "$MISE_SYSTEM_PACKAGES_SUDO" = false || exit 9; cat mise.toml >> "$LOG"; ${miseScript('hammer 1.2.3')}`,
  );
  Object.assign(process.env, { MISE_LOCKED: '1', MISE_GITHUB_TOKEN: 'mine', MISE_HTTP_TIMEOUT: '9s' });
  const entry = entryOf({ version: '1.2.3', release });
  const told: unknown[] = [];
  const tool = await place.get(entry, {}, { progress: (...words) => told.push(words) });
  assert.equal(told.at(-1), ['19.2 of 63.9 MB, downloading hammer 1.2.3', { done: 19.2, total: 63.9 }]);
  assert.is(tool.source, 'release');
  assert.match(tool.path, /hammer-1\.2\.3-release-[0-9a-f]+\/release\/bin\/hammer$/);
  assert.equal(place.calls(), [
    '--yes install, locked= token=mine time=9s',
    ...['[tool_alias]', 'hammer = "aqua:smith/hammer"', '', '[tools]', 'hammer = "1.2.3"'],
  ]);
  assert.equal(await lookForTool(entry, {}), tool);
  const mallet = { host, package: 'aqua:smith/mallet', program: 'mallet' };
  assert.match((await place.get(entryOf({ version: '1.2.3', release: mallet }))).path, /\/bin\/mallet$/);
});

placed('another program, another version and a download without checksum are not kept', async (place) => {
  for (const [script, why] of [
    [miseScript('mallet 1.2.3'), /is not hammer 1\.2\.3: it prints "mallet 1\.2\.3"/],
    [miseScript('hammer 1.2.4'), /is not hammer 1\.2\.3: it prints "hammer 1\.2\.4"/],
    [miseScript('hammer 1.2.3', 'blake3:own'), /has no published checksum, and none is pinned/],
  ] as const) {
    await fakeMise(place, script);
    await fails(place.get(entryOf({ version: '1.2.3', answers: 'hammer ', release })), { why });
    const { tools, temporary } = place.inCache();
    assert.equal([tools.filter((name) => name.startsWith('hammer')), temporary], [[], []]);
  }
});

placed('a failed download is reported once, and the Go module is tried next', async (place) => {
  await fakeMise(place, 'echo "mise ERROR Failed: 401 Unauthorized (token from GITHUB_TOKEN)" >&2; exit 1');
  const built = builtTool(place);
  for (const go of [built.go, { ...built.go, ldflags: '-X other' }])
    assert.is((await place.get({ ...built, release, go })).source, 'go');
  // What is published for other systems only.
  const elsewhere = { host: 'no.invalid', package: 'aqua:smith/hammer', systems: ['plan9'] };
  const go = { ...built.go, ldflags: '-X a third' };
  assert.is((await place.get({ ...built, release: elsewhere, go })).source, 'go');
  assert.equal(place.logged, [
    'hammer: GitHub refuses the token in GITHUB_TOKEN; building from Go modules (to avoid that, renew or unset GITHUB_TOKEN)',
    ...Array(2).fill('hammer 1.2.3 built from Go modules'),
    'hammer: published for plan9 only; building from Go modules',
    'hammer 1.2.3 built from Go modules',
  ]);
  assert.equal(place.inCache().temporary, []);
});

placed('a full disk and a cache that cannot be written are errors with advice', async (place) => {
  const full = builtTool(place, 'echo "write /x/y.a: no space left on device" >&2; exit 1');
  const advice = /XDG_CACHE_HOME/;
  await fails(place.get(full), { what: /^no space left/, advice, exitCode: 1 });
  assert.equal(place.inCache(), nothing);
  rmSync(join(place.folder, 'cache'), { recursive: true });
  writeFileSync(join(place.folder, 'cache'), 'a file where a folder should be');
  await fails(place.get(full), { what: /^cannot write to the tool cache /, advice, exitCode: 1 });
});

placed('leftovers of a killed run are removed, and a damaged entry is rebuilt', async (place) => {
  const entry = builtTool(place);
  const tool = await place.get(entry);
  const [id] = place.inCache().tools;
  mkdirSync(join(place.cache, 'temporary', platform, `${id}~killed`));
  const damages = [
    () => rmSync(tool.path),
    () => truncateSync(tool.path),
    () => chmodSync(tool.path, 0o644),
    () => truncateSync(join(tool.folder, 'program')),
  ];
  for (const [index, damage] of damages.entries()) {
    damage();
    await place.get({ ...entry, for: `look ${index} with no memory` });
    assert.is(place.calls().length, index + 2, String(damage));
    assert.match(readFileSync(tool.path, 'utf8'), /hammer 1\.2\.3/);
  }
  assert.equal(place.inCache().temporary, []);
});

placed('a stopped run builds nothing more and leaves nothing', async (place) => {
  place.abort.abort(new Error('stopped'));
  assert.is((await failureOf(place.get(builtTool(place)))).message, 'stopped');
  assert.equal([place.calls(), place.inCache()], [[], nothing]);
});

placed('the pinned npm package is taken, once, with the links that npm does not make', async (place) => {
  const waiting = join(place.folder, 'waiting');
  place.script(
    'npm',
    `echo asked >> "$LOG"
  until test -e "${waiting}"; do sleep 0.05; done
  name=$(echo "$*" | sed "s/.* //; s/@[^@]*$//")
  mkdir -p "node_modules/$name/native/bin" "node_modules/$name/native/lib"
  printf '#!/bin/sh\\necho hammer 1.2.3\\n' > "node_modules/$name/native/bin/hammer"
  echo library > "node_modules/$name/native/lib/lib.so.1.2"
  echo '[{"source":"native/lib/lib.so.1.2","target":"native/lib/lib.so.1"}]' > "node_modules/$name/native/links.json"
  echo "{\\"packages\\":{\\"node_modules/$name\\":{\\"integrity\\":\\"sha512-good\\"}}}" > node_modules/.package-lock.json`,
  );
  const pinned = (checksum: string) =>
    entryOf({
      version: '1.2.3',
      npm: {
        ...{ ...npm, version: '1.2.3-beta.1', program: 'native/bin/hammer' },
        ...{ symlinks: 'native/links.json', integrity: { [platform]: checksum } },
      },
    });
  // Two at the same time: one downloads, until the other waits.
  const waits = `: waiting for process ${process.pid}, which is installing it`;
  const log = (line: string): void => {
    if (/^hammer-1\.2\.3-npm-\w+/.test(line) && line.endsWith(waits)) writeFileSync(waiting, '');
  };
  const get = () => place.get(pinned('sha512-good'), {}, { log });
  const [tool, other] = await Promise.all([get(), get()]);
  assert.equal([tool.source, place.calls()], ['npm', ['asked']]);
  assert.equal(other, tool);
  assert.is(readFileSync(join(tool.folder, '..', 'lib', 'lib.so.1'), 'utf8'), 'library\n');
  chmodSync(tool.path, 0o644);
  const why = /npm package: @smith\/\S+@1\.2\.3-beta\.1 is not the pinned package/;
  await fails(place.get(pinned('sha512-other')), { why });
});

placed('a machine whose programs are loaded by musl is of another kind', ({ folder }) => {
  const program = join(folder, 'program');
  const loadedBy = (loader: string) => {
    writeFileSync(program, `\x7fELF${'\0'.repeat(600)}${loader}\0code`);
    return usesMusl(program);
  };
  assert.equal(['/lib/ld-musl-x86_64.so.1', '/lib64/ld-linux-x86-64.so.2'].map(loadedBy), [true, false]);
});

test.run();
