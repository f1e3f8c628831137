import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { dirname, join } from 'node:path';
import { MissingToolError, type Share, TaskError } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, stringify } from 'yaml';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { onPlatform } from '../../../lib/runner/tests/rig/platform.ts';
import { platform } from '../../../lib/tools/cache.ts';
import { lookForTool } from '../../../lib/tools/get-tool.ts';
import type { ImageRecipe } from '../../../lib/tools/manifest.ts';
import { updateManifest } from '../../../lib/tools/update-pins.ts';
import { serve } from '../../rig/loopback.ts';
import { fails, failureOf } from '../../rig/task-context.ts';
import { builtTool, entryOf, inPlace, type Place, placed } from './tool-fixture.ts';

const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

function packed(files: Readonly<Record<string, string>>): Buffer {
  const folder = temporaryFolder();
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content, { mode: 0o755 });
  }
  return execFileSync('tar', ['-cz', '.'], { cwd: folder });
}

const layers = [
  { 'etc/passwd': 'root' },
  { hammer: '#!/bin/sh\necho hammer 1.2.3\n' },
  { 'licenses/text': 'free' },
].map(packed);
const archive = packed({
  'hammer/chart/Chart.yaml': 'name: hammer',
  'hammer/chart/crds/nail.yaml': 'kind: Nail',
});

/**
 * A registry with one image, which has the program `hammer` in its middle layer for each of `architectures`, and a
 * storage host that the registry redirects to. As with Docker Hub, nothing is answered without a token, and the storage
 * refuses the token.
 */
async function playedRegistry(architectures: readonly string[] = ['amd64', 'arm64']) {
  const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const digestOf = (content: Uint8Array): string => `sha256:${sha256(content)}`;
  const image = bytes({ layers: layers.map((layer) => ({ digest: digestOf(layer) })) });
  const platforms = architectures.map((architecture) => ({ os: 'linux', architecture }));
  const list = bytes({ manifests: platforms.map((platform) => ({ digest: digestOf(image), platform })) });
  const contents = new Map([image, list, ...layers].map((content) => [digestOf(content), content]));

  /** Paths that were asked for, in order, of both servers. */
  const asked: string[] = [];
  type Answer = { status?: number; body?: Uint8Array } | 'hang' | undefined;
  /** Takes the place of the usual answer to a path; by default all is well. */
  const fault: { answer: (path: string) => Answer } = { answer: () => undefined };
  /** The token that the registry issues and accepts. */
  const issued = { token: 'pass' };
  const played = (usual: (...call: Parameters<RequestListener>) => unknown): Promise<string> =>
    serve((request, response) => {
      const path = request.url ?? '';
      asked.push(path);
      const answer = fault.answer(path);
      if (answer === undefined) usual(request, response);
      else if (answer === 'hang') response.writeHead(200).write('half');
      else response.writeHead(answer.status ?? 200).end(answer.body);
    });

  const files = await played((request, response) => {
    const [path = ''] = (request.url ?? '').slice(1).split('?');
    const content = path === 'hammer.tgz' ? archive : contents.get(`sha256:${path}`);
    const status = request.headers.authorization !== undefined ? 400 : content === undefined ? 404 : 200;
    response.statusCode = status;
    // Without `writeHead`, with its length.
    response.end(content);
  });
  const host: string = await played((request, response) => {
    const [path = ''] = (request.url ?? '').split('?');
    if (path === '/token') return response.end(JSON.stringify(issued));
    if (request.headers.authorization !== `Bearer ${issued.token}`) {
      const challenge = `Bearer realm="http://${host}/token",service="played",scope="repository:smith/hammer:pull"`;
      return response.writeHead(401, { 'WWW-Authenticate': challenge }).end('{}');
    }
    const [, kind, reference = ''] = /^\/v2\/smith\/hammer\/(manifests|blobs)\/(.+)$/.exec(path) ?? [];
    const digest = reference === '1.2.3' ? digestOf(list) : reference;
    if (!contents.has(digest)) return response.writeHead(404).end();
    if (kind === 'manifests') return response.end(contents.get(digest));
    return response
      .writeHead(307, { Location: `http://${files}/${digest.replace('sha256:', '')}?key=hidden` })
      .end();
  });
  const folders = { crds: 'hammer/chart/crds', chart: 'hammer/chart' };
  /** For the image and archive, with the right checksums. */
  const recipe = {
    ...{ repository: `${host}/smith/hammer`, tag: '1.2.3', digest: digestOf(list), program: 'hammer' },
    archive: { url: `http://${files}/hammer.tgz`, sha256: sha256(archive), folders },
  };
  return { recipe, asked, fault, issued };
}

type PlayedRegistry = Awaited<ReturnType<typeof playedRegistry>>;

const tool = (image: ImageRecipe) => entryOf({ version: '1.2.3', path: false, image });

const withGo = (place: Place, image: ImageRecipe) => ({ ...builtTool(place), path: false as const, image });

const withImage = (name: string, body: (registry: PlayedRegistry, place: Place) => Promise<void>) =>
  placed(name, async (place) => body(await playedRegistry(), place));

/** What the log says of the image when Go is taken instead. */
async function insteadOf(
  change: (registry: PlayedRegistry) => ImageRecipe,
  architectures?: readonly string[],
): Promise<string> {
  const image = change(await playedRegistry(architectures));
  let said = '';
  await inPlace(async (place) => {
    assert.is((await place.get(withGo(place, image))).source, 'go');
    assert.equal(place.inCache().temporary, []);
    said = place.logged[0] ?? '';
  });
  return said;
}

withImage('a program is extracted from its image with its files', async ({ recipe, asked }, place) => {
  const told: string[] = [];
  const progress = (text: string, share?: Share) =>
    told.push(share === undefined || share.done < share.total ? text : `all of it: ${text}`);
  const found = await place.get(tool(recipe), {}, { progress });
  assert.is(told[0], 'downloading hammer 1.2.3');
  assert.is(told.at(-1), 'all of it: 0.0 of 0.0 MiB, downloading hammer 1.2.3');
  assert.is(found.source, 'image');
  assert.is(readFileSync(found.path, 'utf8'), '#!/bin/sh\necho hammer 1.2.3\n');
  assert.is(readFileSync(join(found.folder, 'crds', 'nail.yaml'), 'utf8'), 'kind: Nail');
  assert.is(readFileSync(join(found.folder, 'chart', 'Chart.yaml'), 'utf8'), 'name: hammer');
  assert.equal(readdirSync(found.folder).sort(), ['chart', 'crds', 'hammer', 'program']);
  assert.equal(place.inCache().temporary, []);
  assert.ok(asked.includes('/token?service=played&scope=repository%3Asmith%2Fhammer%3Apull'));
  const requests = asked.length;
  assert.equal(await lookForTool(tool(recipe), {}), found);
  assert.is(asked.length, requests);
});

withImage('a token that ends between two layers is replaced', async ({ recipe, fault, issued }, place) => {
  fault.answer = (path) => {
    if (/blobs/.test(path)) issued.token = `after ${path.slice(-8)}`;
    return undefined;
  };
  assert.is((await place.get(tool(recipe))).source, 'image');
});

for (const wrong of [/manifests\/sha256/, /^\/[0-9a-f]{64}/, /hammer\.tgz/])
  withImage(`another checksum is an error at once: ${wrong}`, async ({ recipe, fault }, place) => {
    fault.answer = (path) => (wrong.test(path) ? { body: Buffer.from('{"layers": []}') } : undefined);
    const error = await failureOf(place.get(withGo(place, recipe)));
    assert.instance(error, TaskError);
    assert.not.instance(error, MissingToolError);
    assert.match(error.what, /^http:\S+ has the wrong checksum and was not used$/);
    assert.not.match(error.what, 'key=');
    assert.equal([place.calls(), place.inCache().temporary], [[], []]);
    assert.not.ok(existsSync(join(place.cache, 'tools', platform, 'hammer')));
  });

test('if the image is not available, the reason is logged and Go is tried next', async () => {
  for (const [pattern, status, reason] of [
    [/manifests/, 404, /answered HTTP 404 for \/v2\/smith\/hammer\/manifests\/sha256:/],
    [/manifests/, 429, /limits the rate of requests \(HTTP 429\)/],
    [/manifests/, 401, /requires a login/],
    [/token/, 503, /answered HTTP 503 for \/token/],
    [/hammer\.tgz/, 404, /hammer\.tgz answered HTTP 404; building/],
  ] as const) {
    const said = await insteadOf(({ recipe, fault }) => {
      fault.answer = (path) => (pattern.test(path) ? { status } : undefined);
      return recipe;
    });
    assert.match(said, reason);
  }
  const without = await insteadOf(({ recipe }) => ({ ...recipe, program: 'anvil' }));
  assert.match(without, /smith\/hammer has no program anvil/);
  const other = await insteadOf(({ recipe }) => recipe, ['riscv64']);
  assert.match(other, /has no image for linux\/(amd|arm)64; building/);
  const requests: string[][] = [];
  const unpinned = async (change: (recipe: PlayedRegistry['recipe']) => ImageRecipe) =>
    insteadOf(({ recipe, asked }) => {
      requests.push(asked);
      return change(recipe);
    });
  const fill = 'its checksums are not pinned yet (`npx tsx tasks.ts update tools` fills them in)';
  const said = await unpinned(({ digest: _, ...recipe }) => recipe);
  assert.is(said, `hammer: ${fill}; building from Go modules`);
  // Which is said once.
  await unpinned(({ archive: { sha256: _, ...archive }, ...recipe }) => ({ ...recipe, archive }));
  assert.equal(requests, [[], []]);
});

withImage('a stopped run ends a download that hangs', async ({ recipe, fault }, place) => {
  fault.answer = (path) => {
    if (!/^\/[0-9a-f]{64}/.test(path)) return undefined;
    setImmediate(() => place.abort.abort(new Error('stopped')));
    return 'hang';
  };
  assert.is((await failureOf(place.get(tool(recipe)))).message, 'stopped');
  assert.equal(place.inCache().temporary, []);
});

withImage('on macOS the image is not used, because its program is for Linux', ({ recipe, asked }, place) =>
  onPlatform('darwin', {}, async () => {
    assert.instance(await failureOf(place.get(tool(recipe))), MissingToolError);
    assert.equal(asked, []);
  }),
);

withImage(
  'missing pins of a manifest are filled in, or reported; another checksum is refused',
  async (registry, place) => {
    const { recipe, fault } = registry;
    const { digest: _digest, archive, ...image } = recipe;
    const { sha256: _sha256, ...unpinned } = archive;
    const mise = { version: '2026.1.2', package: '@smith/mise-{platform}', integrity: { other: 'sha512-y' } };
    const before = `# Kept.\n${stringify({ mise, tools: { hammer: { image: { ...image, archive: unpinned } } } })}`;
    const file = join(place.folder, 'manifest.yaml');
    writeFileSync(file, before);
    const view = 'view --loglevel=error --fetch-retries=0 @smith/mise-linux-x64@2026.1.2 dist.integrity';
    place.script(
      'npm',
      `case "$*" in "${view}") echo sha512-x ;; *) echo "npm error 404 Not Found" >&2; exit 1 ;; esac`,
    );
    const update = () => updateManifest(place.context, file);
    fault.answer = (path) => (/manifests/.test(path) ? { status: 429 } : undefined);
    const limited = /^hammer 1\.2\.3 in its image: \S+ limits the rate of requests/m;
    assert.match((await update()).join('\n'), limited);

    fault.answer = () => undefined;
    const missing = ['linux-arm64', 'darwin-x64', 'darwin-arm64'].map(
      (platform) => `mise 2026.1.2 on ${platform}: npm error 404 Not Found`,
    );
    assert.equal(await update(), missing);
    const text = readFileSync(file, 'utf8');
    assert.is(text.replace(/^ *(linux-x64|digest|sha256): .*\n/gm, ''), before, 'the rest stays as it was');
    const { mise: pinned, tools } = parse(text);
    assert.is(pinned.integrity['linux-x64'], 'sha512-x');
    assert.equal(tools.hammer.image, recipe);
    await update();
    assert.is(readFileSync(file, 'utf8'), text);

    fault.answer = (path) => (path === '/hammer.tgz' ? { body: Buffer.from('other') } : undefined);
    const why = /^tools\.hammer\.image\.archive\.sha256: [0-9a-f]{64}$/;
    assert.instance(await fails(update(), { why }), TaskError);
    assert.is(readFileSync(file, 'utf8'), text);
  },
);

test.run();
