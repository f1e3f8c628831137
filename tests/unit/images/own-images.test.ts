import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Settings } from '../../../lib/settings/settings.ts';
import { copyProject, type ProjectCopy } from '../../rig/project-copy.ts';
import { failureOf } from '../../rig/task-context.ts';

type Lib = typeof import('../../../lib/cluster/images/own-images.ts');
type State = {
  clone: ProjectCopy;
  lib: Lib;
  of: (env: string, tier: string) => Promise<[Settings, string[]]>;
};

const test = suite<State>('images of the project');

test.before(async (state) => {
  state.clone = copyProject();
  const load = (path: string) => import(join(state.clone.folder, 'lib', path));
  const { loadSettings } = (await load(
    'settings/settings.ts',
  )) as typeof import('../../../lib/settings/settings.ts');
  const { declaredReleases } = (await load(
    'helm/helmfile.ts',
  )) as typeof import('../../../lib/helm/helmfile.ts');
  state.lib = await load('cluster/images/own-images.ts');
  state.of = async (env, tier) => {
    const settings = await loadSettings(env, 'minikube');
    const releases = (await declaredReleases(state.clone.folder)).filter((release) => release.tier === tier);
    const images = state.lib.ownImages(settings, releases);
    return [settings, images.map((image) => `${state.lib.tagged(image)} ${image.releases.join(' ')}`)];
  };
});

test.after.each(({ clone }) => clone.reset());
test.after(({ clone }) => clone.remove());

test('images that are built here and used by the releases', async ({ of }) => {
  const [, images] = await of('development', 'apps');
  assert.equal(images, ['k8s-deployment/backend-verification:0.1.0 app1-back app2-back']);
  assert.equal((await of('development', 'core'))[1], []);
  assert.equal((await of('lab', 'apps'))[1], [
    'docker.io/k8s-deployment/backend:0.1.0 app1-back app2-back',
    'docker.io/k8s-deployment/backend-verification:0.1.0 app1-back app2-back',
  ]);
});

test('the input tag changes only with a file, a name or a build argument', async ({ clone, lib, of }) => {
  const [settings] = await of('development', 'apps');
  const image = { ...settings.images.backendVerification, name: 'some', folder: 'docker/some', releases: [] };
  const write = (name: string, text: string) => {
    mkdirSync(join(clone.folder, 'docker/some'), { recursive: true });
    writeFileSync(join(clone.folder, 'docker/some', name), text);
  };
  const tags: string[] = [];
  const add = async (change: Partial<Settings> = {}) =>
    tags.push(await lib.taggedByInputs({ ...settings, ...change } as Settings, image));
  write('Dockerfile', 'FROM scratch');
  await add();
  await add({ domain: 'other.test' });
  assert.is(tags[0], tags[1]);
  assert.match(tags[0] ?? '', /^k8s-deployment\/backend-verification:inputs-[0-9a-f]{12}$/);
  write('program', 'one');
  await add();
  rmSync(join(clone.folder, 'docker/some/program'));
  write('renamed', 'one');
  await add();
  await add({ buildArguments: { BASE_IMAGE: 'debian' } });
  assert.is(new Set(tags).size, 4);
});

test('the error for a folder without a Dockerfile names the setting', async ({ lib, of }) => {
  const [settings] = await of('development', 'apps');
  const image = { ...settings.images.backendVerification, name: 'some', folder: 'docker/none', releases: [] };
  const error = await failureOf(lib.taggedByInputs(settings, image));
  assert.match(error.what, /^docker\/none, .* has no Dockerfile$/);
  assert.match(error.why ?? '', /images\.some\.build/);
});

test('build arguments reach docker as separate arguments', async ({ lib, of }) => {
  const [settings] = await of('development', 'apps');
  const words = lib.buildWords({ ...settings, buildArguments: { A: 'b c' } }, 'docker/some', 'some:1');
  assert.equal(words, ['docker', 'build', '--build-arg', 'A=b c', '--tag', 'some:1', 'docker/some']);
});

test.run();
