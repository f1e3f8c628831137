import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { OwnImage } from '../../../lib/cluster/images/own-images.ts';
import type { Environment } from '../../../lib/settings/environment.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf } from '../../rig/task-context.ts';

/* Docker, minikube and its nodes, played. */

type State = {
  clone: ScriptedClone;
  environment: Environment;
  image: OwnImage;
  build: () => Promise<string>;
  load: () => Promise<string>;
  /** What a dry run prints for `load`. */
  printed: () => Promise<string[]>;
  /** The image by its inputs. */
  built: string;
  /** What `crictl images` prints on a node, as a shell command; `arrives` is run by `image load`. */
  nodes: (answer: string, arrives?: string) => void;
};

const test = suite<State>('images for minikube');

const asked = 'k8s-deployment/backend-verification:0.1.0';

test.before(async (state) => {
  state.clone = scriptedClone();
  const { buildImages } =
    await state.clone.lib<typeof import('../../../lib/cluster/images/build.ts')>('cluster/images/build.ts');
  const { loadCommands, loadImages } = await state.clone.lib<
    typeof import('../../../lib/cluster/minikube/images.ts')
  >('cluster/minikube/images.ts');
  state.environment = await state.clone.environment('minikube');
  const { ownImages, taggedByInputs } = await state.clone.lib<
    typeof import('../../../lib/cluster/images/own-images.ts')
  >('cluster/images/own-images.ts');
  const { loadSettings } =
    await state.clone.lib<typeof import('../../../lib/settings/settings.ts')>('settings/settings.ts');
  const { declaredReleases } =
    await state.clone.lib<typeof import('../../../lib/helm/helmfile.ts')>('helm/helmfile.ts');
  const settings = await loadSettings('development', 'minikube');
  const [image] = ownImages(settings, await declaredReleases(state.clone.folder));
  if (image === undefined) throw new Error('development has an image of its own');
  state.image = image;
  state.built = await taggedByInputs(settings, image);
  const { clone, environment } = state;
  state.build = async () => buildImages({ ...(await clone.context('minikube')), environment }, [image]);
  state.load = async () => loadImages({ ...(await clone.context('minikube')), environment }, [image]);
  state.printed = () => loadCommands({ environment, settings }, [image]);
  state.nodes = (answer, arrives = '') =>
    state.clone.script(
      'minikube',
      `case "$*" in *crictl*) ${answer};; "image load"*) [ -s "$3" ] && { ${arrives || ':'}; };; esac`,
    );
});

test.before.each((state) => {
  mkdirSync(state.environment.state, { recursive: true });
  state.clone.script('kubectl', 'case "$*" in *"get nodes"*) printf "node/one\\nnode/two\\n";; esac');
  state.clone.script(
    'docker',
    'case "$*" in "image inspect"*) echo "Error: No such image: x" >&2; exit 1;; save*) echo archive > "$3";; esac',
  );
  state.clone.forget();
});

test.after.each(({ clone }) => clone.reset());
test.after(({ clone }) => clone.remove());

/** As crictl prints it, of containerd, behind the warning that it shares its stream with. */
const holding = (...names: readonly string[]): string =>
  `echo 'WARN[0000] using defaults'; echo '${JSON.stringify({ images: [{ id: 'x' }, { repoTags: names.map((name) => `docker.io/${name}`) }] })}'`;

const changes = (clone: ScriptedClone): string[] =>
  clone.calls().filter((line) => !/crictl|get nodes|image inspect/.test(line));

test('an image that Docker has is not built again', async ({ build, clone, built }) => {
  clone.script('docker', '');
  assert.is(await build(), 'unchanged');
  assert.equal(clone.calls(), [`docker image inspect ${built}`]);
});

test('a missing image is built with the tag of its inputs', async ({ build, clone, built }) => {
  assert.is(await build(), 'changed');
  assert.equal(changes(clone), [`docker build --tag ${built} docker/backend-verification`]);
});

test('a Docker that does not answer is an error, not an image that is absent', async ({ build, clone }) => {
  clone.script('docker', 'echo "Cannot connect to the Docker daemon" >&2; exit 1');
  const error = await failureOf(build());
  assert.is(error.why, 'Cannot connect to the Docker daemon');
  assert.is(clone.calls().length, 1);
});

test('nodes that have the image under both names get nothing', async ({ load, clone, built, nodes }) => {
  nodes(holding(asked, built));
  assert.is(await load(), 'unchanged');
  assert.equal(changes(clone), []);
});

test('an image with other inputs is replaced, by the commands of the dry run', async ({
  load,
  printed,
  clone,
  environment,
  built,
  nodes,
}) => {
  const mark = join(environment.state, 'arrived');
  const [old, now] = [holding(asked), holding(asked, built)];
  nodes(`if [ -e ${mark} ]; then ${now}; else ${old}; fi`, `touch ${mark}`);
  assert.is(await load(), 'changed');
  const lines = await printed();
  const archive = '.state/development/images.tar';
  assert.equal(
    changes(clone).map((line) => line.replace(join(clone.folder, archive), archive)),
    lines.slice(0, -1),
  );
  assert.equal(lines, [
    `docker tag ${built} ${asked}`,
    `docker save --output ${archive} ${asked} ${built}`,
    `minikube image load ${archive} --profile ${environment.clusterName}`,
    `rm ${archive}`,
  ]);
  assert.not.ok(existsSync(join(clone.folder, archive)));
});

test('one node without the image is enough', async ({ load, clone, environment, built, nodes }) => {
  const mark = join(environment.state, 'arrived');
  const [none, now] = [holding(), holding(asked, built)];
  nodes(`case "$*" in *two*) [ -e ${mark} ] || { ${none}; exit; };; esac; ${now}`, `touch ${mark}`);
  assert.is(await load(), 'changed');
  assert.is(changes(clone).length, 3);
});

test('a node that did not take it is named, though minikube succeeded', async ({ load, built, nodes }) => {
  nodes(`case "$*" in *two*) ${holding(asked)};; *) ${holding(asked, built)};; esac`);
  const error = await failureOf(load());
  assert.is(error.what, `the image ${asked} did not arrive in two`);
});

test('a node that does not answer is an error, not a node without images', async ({ load, clone, nodes }) => {
  nodes('echo "ssh: handshake failed" >&2; exit 1');
  const { what, why } = await failureOf(load());
  assert.match(what, /^cannot list the images of node (one|two)$/);
  assert.is(why, 'ssh: handshake failed');
  nodes('echo "Trace of a crash"');
  const error = await failureOf(load());
  assert.match(error.why ?? '', 'Trace of a crash');
  assert.equal(changes(clone), []);
});

test('an archive that could not be loaded is not left behind', async ({ load, environment, nodes }) => {
  nodes(holding(), 'exit 80');
  const error = await failureOf(load());
  assert.is(error.exitCode, 80);
  assert.not.ok(existsSync(join(environment.state, 'images.tar')));
});

test('a cluster that lists no nodes does not have the image', async ({ clone, load, nodes }) => {
  nodes('exit 1');
  clone.script('kubectl', '');
  assert.is((await failureOf(load())).what, 'the cluster has no nodes to load an image into');
});

test.run();
