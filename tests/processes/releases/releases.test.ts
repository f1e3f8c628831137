import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import type { OutgoingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { MissingToolError, type TaskError } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { ended } from '../../../lib/runner/tests/rig/ended.ts';
import { plainShell } from '../../../lib/runner/tests/rig/shell.ts';
import { cacheFolder, platform } from '../../../lib/tools/cache.ts';
import { getTool } from '../../../lib/tools/get-tool.ts';
import { loadManifest, type Manifest, type ToolEntry, type ToolName } from '../../../lib/tools/manifest.ts';
import { getMise, lockFile, pinIn } from '../../../lib/tools/release.ts';
import { updatePins } from '../../../lib/tools/update-pins.ts';
import { fails } from '../../rig/task-context.ts';
import { inPlace, type Place } from '../../unit/tools/tool-fixture.ts';
import { type Fault, playedTools, playHosts, publish } from './hosts.ts';
import { playFolder, runInside, whyNot } from './namespace.ts';

/** The real mise installs every tool from simulated release hosts. */
async function outside(): Promise<void> {
  const silent = { $: plainShell(), signal: new AbortController().signal, log: () => {}, progress: () => {} };
  const reason =
    whyNot() ?? (await getMise(silent).then((mise) => ('reason' in mise ? mise.reason : undefined)));
  if (reason === undefined) {
    process.exitCode = (await runInside(new URL(import.meta.url).pathname)) ?? 1;
    return;
  }
  process.stdout.write(`skipped: release hosts cannot be played here (${reason})\n`);
  test.skip('tools from simulated release hosts', () => {});
  completeness((await loadManifest()).tools);
  test.run();
}

function completeness(tools: Manifest['tools']): void {
  test('every release of the manifest is simulated', () => {
    const released = Object.values(tools).flatMap((entry) => (entry.release ? [entry.name] : []));
    assert.equal([...playedTools].sort(), released.sort());
  });
}

async function inside(folder: string): Promise<void> {
  const { mise, tools } = await loadManifest();
  const files = publish(Object.values(tools));
  const hosts = await playHosts(folder);
  // Of the cache that the machine has: inPlace gives each test another.
  const miseEntry = join(cacheFolder(), 'tools', platform, `mise-${mise.version}`);

  /** A test in a separate cache with only mise; everything is published correctly. */
  const played = (name: string, body: (place: Place) => Promise<void>): void =>
    test(name, () =>
      inPlace(async (place) => {
        Object.assign(hosts, { files: new Map(files), faults: [], digests: true, requests: [] });
        mkdirSync(join(place.cache, 'tools', platform), { recursive: true });
        mkdirSync(join(place.cache, 'temporary', platform), { recursive: true });
        symlinkSync(miseEntry, join(place.cache, 'tools', platform, `mise-${mise.version}`));
        await body(place);
      }),
    );
  /** Only the release, without PATH and compiler. */
  const get = (name: ToolName, place: Place, changes: Partial<ToolEntry> = {}) => {
    const { go: _, ...entry }: ToolEntry = tools[name];
    return getTool({ ...entry, path: false, ...changes }, {}, place.context);
  };
  /** Nothing half-made and no entry of the tool are left. */
  const failure = async (place: Place, ...expected: Parameters<typeof fails>): Promise<TaskError> => {
    const error = await fails(...expected);
    assert.equal(leftovers(place), []);
    return error;
  };
  const updateTools = async (): Promise<string> => {
    const words = ['--import', 'tsx', 'tasks.ts', 'update', 'tools'];
    const { stdout, stderr } = await ended(spawn(process.execPath, words, { cwd: root }));
    return stdout + stderr;
  };
  const leftovers = ({ cache }: Place) => [
    ...readdirSync(join(cache, 'temporary', platform)),
    ...readdirSync(join(cache, 'temporary')).filter((name) => name !== platform),
    ...readdirSync(join(cache, 'tools', platform)).filter((entry) => !entry.startsWith('mise-')),
  ];

  completeness(tools);

  played('every tool of the manifest comes from its release and is named right', async (place) => {
    for (const name of playedTools as ToolName[]) {
      // mise checks the signature of sops with built-in keys of a host, which cannot be simulated.
      if (name === 'sops') continue;
      const tool = await get(name, place);
      assert.is(tool.source, 'release', name);
      assert.is(execFileSync(tool.path, { encoding: 'utf8' }), `${name} version v${tools[name].version}\n`);
    }
  });

  played('without a published checksum nothing is kept', async (place) => {
    hosts.digests = false;
    const why = /kwok\S+ 0\.8\.0 has no published checksum, and none is pinned/;
    await failure(place, get('kwok', place), { why });
  });

  played('a wrong checksum and a truncated file end the run without a build', async (place) => {
    for (const change of [
      (content: Buffer) => Buffer.concat([content, Buffer.from('?')]),
      (content: Buffer) => content.subarray(0, content.length / 2),
    ]) {
      const play: Fault['play'] = (response, content) => response.end(change(content));
      hosts.faults = [{ at: /^get\.helm\.sh\/.*gz$/, play }];
      const error = await failure(place, get('helm', place), {
        what: `the downloaded file for helm ${tools.helm.version} is not the published one; it was not kept`,
        why: /^its publisher has the checksum sha256:\w+, the file has sha256:\w+$/,
      });
      assert.not.instance(error, MissingToolError);
    }
  });

  played('a rate limit is reported with its end, and the user’s token reaches mise', async (place) => {
    const reset = 1795890600; // 18:30 UTC
    const headers = { 'x-ratelimit-limit': 60, 'x-ratelimit-remaining': 0, 'x-ratelimit-reset': reset };
    const limited = status(403, '{"message":"API rate limit exceeded for 203.0.113.7."}', headers);
    const play: Fault['play'] = (response, content, request) =>
      request.headers.authorization ? response.end(content) : limited(response, content, request);
    hosts.faults = [{ at: /^api\.github\.com/, play }];
    await failure(place, get('helmfile', place), {
      why: /^published release: GitHub's rate limit is used up until 18:30 UTC$/m,
      advice: /, or set GITHUB_TOKEN, or wait until 18:30 UTC$/,
    });
    for (const name of ['GITHUB_TOKEN', 'MISE_GITHUB_TOKEN'] as const) {
      process.env[name] = 'a-token';
      await get(name === 'GITHUB_TOKEN' ? 'helmfile' : 'minikube', place);
      delete process.env[name];
    }
  });

  played('every other reason is reported in one line', async (place) => {
    type Case = [at: RegExp, play: Fault['play'], why: RegExp, advice: RegExp, variables?: object];
    const refused = status(401, '{"message":"Bad credentials"}');
    const cases: readonly Case[] = [
      [/^api/, refused, /refuses the token in GITHUB_TOKEN/, /unset G/, { GITHUB_TOKEN: 'wrong' }],
      [/^r/, () => {}, /the host did not answer \(timeout\)/, /MISE_HTTP_T/, { MISE_HTTP_TIMEOUT: '1s' }],
      [/^release-a/, status(503), /503 Service Unavailable/, /on PATH/],
      [/^release-a/, redirectTo('nowhere.example'), /name was not found \(DNS\)/, /HTTPS_PROXY/],
      [/^release-a/, redirectTo('other.example'), /not trusted \(TLS: .*other\.example/, /SSL_CERT_FILE/],
    ];
    for (const [at, play, why, advice, variables = {}] of cases) {
      Object.assign(process.env, variables);
      hosts.faults = [{ at, play }];
      const error = await failure(place, get('helmfile', place), { why, advice });
      for (const name of Object.keys(variables)) delete process.env[name];
      assert.is(error.why?.split('\n').length, 2, error.why);
    }
  });

  played('a full disk ends the run', async (place) => {
    const small = join(place.cache, 'temporary', platform);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'none', small]);
    const error = await failure(place, get('helm', place), { what: /^no space left for the tool cache/ });
    execFileSync('umount', [small]);
    assert.not.instance(error, MissingToolError);
  });

  played('a host that does not resolve fails after the time limit', async (place) => {
    const silent = createSocket('udp4');
    await new Promise<void>((resolve) => silent.bind(53, '127.0.0.1', resolve));
    const release = { host: 'silent.example', package: 'aqua:helm/helm' };
    const why = /release host silent\.example unreachable: no answer within 3 s/;
    await failure(place, get('helm', place, { release }), { why }).finally(() => silent.close());
  });

  // The lockfile has pins from here on.
  played('update tools pins releases for Linux and macOS, and says what is missing', async ({ context }) => {
    const sops = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'].map(
      (missing) => `  sops ${tools.sops.version} on ${missing}\n`,
    );
    hosts.faults = [{ at: /^api\.github\.com\/repos\/derailed/, play: status(503) }];
    assert.match(await updateTools(), /1 of \d+ releases could not be looked up\n.*why: k9s: .*503/s);
    assert.is.not(pinIn(readFileSync(lockFile, 'utf8'), 'kwok', 'linux-x64'), undefined);
    hosts.faults = [];
    // For the reason above.
    assert.match(
      await updateTools(),
      new RegExp(`not pinned:\\n(?:  (?:mise|vault-secrets-operator) .*\\n)*${sops.join('')}$`, 'm'),
    );
    const text = readFileSync(lockFile, 'utf8');
    assert.match(pinIn(text, 'etcd', 'darwin-arm64')?.url ?? '', /darwin-arm64\.zip$/);
    assert.match(pinIn(text, 'kwokctl', 'linux-arm64')?.url ?? '', /kwokctl-linux-arm64$/);
    assert.is(pinIn(text, 'kube-apiserver', 'darwin-arm64')?.checksum, undefined);
    // Without an answer, mise drops some pins.
    hosts.faults = [{ at: /./, play: status(503) }];
    const updating = updatePins(context, ['kubectl', 'kwok']);
    await fails(updating, { what: /^\d of 2 releases could not be looked up$/ });
    assert.is(readFileSync(lockFile, 'utf8'), text);
  });

  played('with pins, no API is called, and a publisher cannot change pinned content', async (place) => {
    for (const [path, content] of hosts.files)
      if (path.includes('/kwok-')) hosts.files.set(path, Buffer.concat([content, Buffer.from('#')]));
    const why = /^lib\/tools\/mise\.lock has the checksum sha256:\w+, the file has sha256:\w+$/;
    await failure(place, get('kwok', place), { why });
    const before = hosts.requests.length;
    await get('kwokctl', place);
    assert.not.ok(hosts.requests.slice(before).some((request) => request.startsWith('api.github.com')));
    const pinned = readFileSync(lockFile, 'utf8');
    const what = 'a publisher has another checksum than the pinned one; lib/tools/mise.lock was not changed';
    await fails(updatePins(place.context, ['kwok']), { what });
    assert.is(readFileSync(lockFile, 'utf8'), pinned);
  });

  process.env.MISE_HTTP_RETRIES = '0';
  test.after(() => hosts.close());
  test.run();
}

const status =
  (code: number, text = '', headers: OutgoingHttpHeaders = {}): Fault['play'] =>
  (response) =>
    response.writeHead(code, headers).end(text);
const redirectTo = (host: string) => status(302, '', { location: `https://${host}/` });

if (playFolder === undefined) await outside();
else await inside(playFolder);
