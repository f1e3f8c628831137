import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildWords, imagesToBuild, ownImages, tagged } from '../../../lib/cluster/images/own-images.ts';
import { providerNames } from '../../../lib/cluster/providers.ts';
import { root } from '../../../lib/ground/project.ts';
import { declaredReleases } from '../../../lib/helm/helmfile.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import type { Settings } from '../../../lib/settings/context.ts';
import { loadSettings } from '../../../lib/settings/settings.ts';
import { buildToolset } from '../../../tasks/images.ts';
import { applications } from '../../rig/applications.ts';
import { environmentIn, fails } from '../../rig/task-context.ts';

const settings = await loadSettings({ name: 'development', provider: 'minikube', root });
const image = { ...settings.images.backendVerification, name: 'some', folder: 'docker/some', releases: [] };

test('images that are built here and used by the releases', async () => {
  const of = async (env: string, tier: string): Promise<string[]> => {
    const releases = (await declaredReleases(root)).filter((release) => release.tier === tier);
    const images = ownImages(await loadSettings({ name: env, provider: 'minikube', root }), releases);
    return images.map((own) => `${tagged(own)} ${own.releases.join(' ')}`);
  };
  const backs = applications.map(({ name }) => `${name}-back`).join(' ');
  assert.equal(await of('development', 'apps'), [`k8s-deployment/backend-verification:0.1.0 ${backs}`]);
  assert.equal(await of('development', 'core'), []);
  assert.equal(await of('lab', 'apps'), [
    `docker.io/k8s-deployment/backend:0.1.0 ${backs}`,
    `docker.io/k8s-deployment/backend-verification:0.1.0 ${backs}`,
  ]);
});

test('the input tag changes only with a file, a name or a build argument', async () => {
  const project = temporaryFolder();
  const folder = join(project, image.folder);
  const tag = async (change: Partial<Settings> = {}): Promise<string> => {
    const target = { environment: environmentIn(project), settings: { ...settings, ...change } };
    const [found] = await imagesToBuild(target, [image]);
    return found?.built ?? '';
  };
  mkdirSync(folder, { recursive: true });
  await fails(tag(), { what: /^docker\/some, .* has no Dockerfile$/, why: /images\.some\.build/ });
  writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch');
  const first = await tag();
  assert.match(first, /^k8s-deployment\/backend-verification:inputs-[0-9a-f]{12}$/);
  assert.is(await tag({ domain: 'other.test' }), first);
  writeFileSync(join(folder, 'program'), 'one');
  const second = await tag();
  renameSync(join(folder, 'program'), join(folder, 'renamed'));
  const tags = [first, second, await tag(), await tag({ buildArguments: { BASE_IMAGE: 'debian' } })];
  assert.is(new Set(tags).size, 4);
});

const file = 'docker/toolset/Dockerfile';
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const dockerfile = read(file);

/** What the Dockerfile copies from the clone. */
const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, paths = '']) =>
  paths.split(' '),
);

test('the build gets the files that it copies, and no other file of the clone', () => {
  const [everything, ...allowed] = read(`${file}.dockerignore`)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  assert.is(everything, '*');
  assert.equal(allowed, copied.map((path) => `!${path}`).sort());
  for (const path of copied) assert.ok(existsSync(join(root, path)), path);
});

test('its user may start what is copied from a clone with umask 077; it has the tools of every provider', () => {
  const stage = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));
  for (const [, path = '', to = ''] of stage.matchAll(/^COPY (?!--from)(\S+) (\S+)$/gm))
    assert.match(stage, `chmod a+rx ${join(to, basename(path))}\n`);
  const loops = [...dockerfile.matchAll(/for provider in (.*?);/g)];
  assert.is(loops.length, 2);
  for (const [, names = ''] of loops) assert.equal(names.split(' ').sort(), [...providerNames].sort());
});

test('the development container is built from it, with its user', () => {
  const folder = '.devcontainer';
  const { build, remoteUser } = JSON.parse(read(`${folder}/devcontainer.json`));
  assert.is(relative(root, resolve(root, folder, build.dockerfile)), file);
  assert.is(resolve(root, folder, build.context), dirname(join(root, 'tasks.ts')));
  assert.match(dockerfile, new RegExp(`^USER ${remoteUser}$`, 'm'));
});

test('build arguments reach docker as separate arguments; words after `--` are options of the build', async () => {
  const words = buildWords({ ...settings, buildArguments: { A: 'b c' } }, 'docker/some', 'some:1');
  assert.equal(words, ['docker', 'build', '--build-arg', 'A=b c', '--tag', 'some:1', 'docker/some']);
  const options = { env: 'development', provider: 'minikube' };
  const input = { args: { tag: '1' }, options, passThrough: ['--build-arg', 'TOOLS=toolset:0'] };
  assert.equal(await buildToolset.commands?.(input as never), [
    `docker build --file ${file} --build-arg TOOLS=toolset:0 --tag k8s-deployment/toolset:1 .`,
  ]);
});

test.run();
