import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { newestLike, updateSettings, writtenLike } from '../../../lib/applications/update.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import type { Environment } from '../../../lib/settings/context.ts';
import { serve } from '../../rig/loopback.ts';

test('the newest version is written like the current one, and has the same major version', () => {
  for (const [current, all, newest, ofAll = newest] of [
    ['17.6-a', ['17.9-a', '17.11-a', '17.12-b', '18.6-a', '17'], '17.11-a', '18.6-a'],
    ['v1.11.0', ['v1.12.0', '1.13.0', 'v1.12', 'v1.12.1-rc1', 'latest'], 'v1.12.0'],
    ['2.0.4', ['1.21.9', '2.0.3'], '2.0.4'],
    ['18.6-system-trixie', ['18.7-202608170814-system-trixie'], '18.6-system-trixie'],
    ['latest', ['1.0'], 'latest'],
  ] as const)
    assert.equal(newestLike(current, all), { newest, ofAll }, current);
  assert.is(writtenLike('v0.8.0', '0.8.1'), 'v0.8.1');
  assert.is(writtenLike('2.0.3', 'v2.0.4'), '2.0.4');
  assert.is(writtenLike('v0.8.0', 'main'), undefined);
  assert.is(writtenLike('2.10', '2.9.7'), '2.10', 'newer than the program of the chart');
});

const bytes = (tag: string): string => JSON.stringify({ layers: [], tag });
const digest = (tag: string): string => `sha256:${createHash('sha256').update(bytes(tag)).digest('hex')}`;

const images: { readonly [path: string]: readonly string[] } = {
  'smith/anvil': ['1.2.3', '1.2.4', '1.10.0', '1.2.5-rc1', '2.0.0'],
  'smith/hammer': ['v4.0.0', 'v4.1.0', 'v4.9.0'],
};
const index = `entries:
  hammer:
    - { version: 0.3.1, appVersion: 4.1.0 }
    - { version: 0.3.0, appVersion: 4.0.0 }
    - { version: 0.4.0-beta1, appVersion: 5.0.0 }
`;

const host = await serve((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://here');
  if (pathname === '/charts/index.yaml') return response.end(index);
  const [, path = '', kind, rest = ''] = /^\/v2\/(.+)\/(tags|manifests)\/(.+)$/.exec(pathname) ?? [];
  const tags = images[path];
  if (tags === undefined) return response.writeHead(404).end();
  if (kind === 'manifests')
    return tags.includes(rest) ? response.end(bytes(rest)) : response.writeHead(404).end();
  // Two a page.
  const start = tags.indexOf(searchParams.get('last') ?? '') + 1;
  const page = tags.slice(start, start + 2);
  if (start + 2 < tags.length)
    response.setHeader('Link', `</v2/${path}/tags/list?last=${page.at(-1)}&n=2>; rel="next"`);
  return response.end(JSON.stringify({ name: path, tags: page }));
});
const root = temporaryFolder();
const common = 'environments/common.yaml';
const own = 'environments/production/settings.yaml';

const write = (files: { readonly [file: string]: string }): void => {
  for (const [file, text] of Object.entries(files)) writeFileSync(join(root, file), text);
};
mkdirSync(join(root, own, '..'), { recursive: true });
write({ 'environments/existing.yaml': '{}\n' });
/** Settings of all environments and of one, with a chart repository in this folder. */
const setUp = (all: string, ownSettings = '{}\n', charts = 'charts/'): void => {
  const repositories = `releases: []\nrepositories:\n  - name: smith\n    url: http://${host}/${charts}\n`;
  write({ 'helmfile.yaml': repositories, [common]: all, [own]: ownSettings });
};
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const update = () => {
  const environment = { root, name: 'production', provider: 'existing', state: join(root, '.state') };
  return updateSettings(environment as Environment, new AbortController().signal);
};

const settings = (chart: string, anvil: string, hammer: string): string => `# Charts and images.
charts:
  hammer: { chart: smith/hammer, version: ${chart} } # kept
  local: { chart: ./charts/local, version: "" }
images:
  anvil:
    repository: ${host}/smith/anvil
    tag: ${anvil} # of the smith
    digest: ${anvil === '1.2.3' ? '""' : digest(anvil)}
    build: ""
  hammer: { repository: ${host}/smith/hammer, tag: ${hammer}, digest: "${hammer === 'v4.0.0' ? '' : digest(hammer)}", build: "" }
  ours: { repository: ours, tag: 0.1.0, digest: "", build: docker/ours }
`;

test('charts and images get the newest versions, images of charts those of the charts; all else stays', async () => {
  const pins = 'images:\n  anvil: { tag: 1.2.4, digest: "" }\n  hammer: { tag: v4.0.0 }\n';
  setUp(settings('0.3.0', '1.2.3', 'v4.0.0'), pins);
  const { changed, notes, failed } = await update();
  assert.equal(failed, []);
  const [anvil, hammer] = [digest('1.10.0'), digest('v4.1.0')];
  assert.is(read(common), settings('0.3.1', '1.10.0', 'v4.1.0').replace(`"${hammer}"`, hammer));
  // No digest where the file has none.
  assert.is(read(own), `images:\n  anvil: { tag: 1.10.0, digest: ${anvil} }\n  hammer: { tag: v4.1.0 }\n`);
  assert.equal(changed, [
    `${common}: charts.hammer.version 0.3.0 → 0.3.1`,
    `${common}: images.anvil.tag 1.2.3 → 1.10.0`,
    `${common}: images.anvil.digest (none) → ${anvil}`,
    `${common}: images.hammer.tag v4.0.0 → v4.1.0`,
    `${common}: images.hammer.digest (none) → ${digest('v4.1.0')}`,
    `${own}: images.anvil.tag 1.2.4 → 1.10.0`,
    `${own}: images.anvil.digest (none) → ${digest('1.10.0')}`,
    `${own}: images.hammer.tag v4.0.0 → v4.1.0`,
  ]);
  assert.match(notes[0] ?? '', /smith\/anvil: 2\.0\.0 is another major version/);
  const again = await update();
  assert.equal([again.changed, again.failed], [[], []]);
});

test('a shared version is written where it is if all who share it want the same, else it is noted', async () => {
  const shared = (chart: string): string => `charts:
  hammer: &hammer { chart: smith/hammer, version: &chart ${chart} }
  second: { chart: smith/hammer, version: *chart }
  third: { <<: *hammer, values: {} }
images:
  anvil: { repository: ${host}/smith/anvil, tag: &tag 1.2.3, digest: "", build: "" }
  other: { repository: ours, tag: *tag, build: docker/ours }
`;
  setUp(shared('0.3.0'));
  const { changed, notes, failed } = await update();
  assert.equal(failed, []);
  assert.is(read(common), shared('0.3.1'));
  const charts = ['hammer', 'second', 'third'].map((name) => `charts.${name}.version 0.3.0 → 0.3.1`);
  assert.equal(changed.join(), charts.map((chart) => `${common}: ${chart}`).join());
  const byHand = 'others share its value (an alias or `<<`); write it by hand';
  assert.equal(notes.slice(-2), [
    `${common}: images.anvil.tag → 1.10.0: ${byHand}`,
    `${common}: images.anvil.digest → ${digest('1.10.0')}: ${byHand}`,
  ]);
});

test('an environment may pin the version alone; no image is replaced by an older one', async () => {
  setUp(settings('0.3.1', '1.10.0', 'v4.9.0'), 'charts:\n  hammer: { version: 0.3.0 }\n');
  const { changed, failed } = await update();
  assert.equal([changed, failed], [[`${own}: charts.hammer.version 0.3.0 → 0.3.1`], []]);
  write({ 'helmfile.yaml': 'releases: []\n', [common]: 'charts: {}\n', [own]: '{}\n' });
  assert.equal((await update()).failed, []);
});

test('what cannot be asked is reported and stays; the rest is written', async () => {
  const gone = settings('0.3.0', '1.2.3', 'v4.0.0').replace('/smith/hammer', '/smith/gone');
  setUp(gone, 'images:\n  saw: { repository: 127.0.0.1:2/saw, tag: 1.0.0, build: "" }\n', 'none');
  const { changed, failed } = await update();
  const names = changed.map((line) => line.split(' ')[1]);
  assert.equal(names, ['images.anvil.tag', 'images.anvil.digest']);
  assert.equal(failed, [
    `smith/hammer: http://${host}/none/index.yaml answered HTTP 404`,
    `${host}/smith/gone: ${host} answered HTTP 404 for /v2/smith/gone/tags/list`,
    '127.0.0.1:2/saw: 127.0.0.1:2 refuses connections',
  ]);
  assert.match(read(common), 'version: 0.3.0 }');
});

test.run();
