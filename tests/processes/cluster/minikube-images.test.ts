import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  buildImages,
  type OwnImage,
  ownImages,
  taggedByInputs,
} from '../../../lib/cluster/images/own-images.ts';
import { loadCommands, loadImages } from '../../../lib/cluster/minikube/images.ts';
import { declaredReleases } from '../../../lib/helm/helmfile.ts';
import { scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf } from '../../rig/task-context.ts';

/* Docker, minikube and its nodes, played. */

const test = suite('images for minikube');

const asked = 'k8s-deployment/backend-verification:0.1.0';

const clone = scriptedFolder('environments', 'docker', 'helmfile.yaml');
const context = await clone.context('minikube');
const { environment, settings } = context;
const images = ownImages(settings, await declaredReleases(clone.folder));
/** The image by its inputs. */
const built = await taggedByInputs(context, images[0] as OwnImage);
const build = () => buildImages(context, images);
const load = () => loadImages(context, images);

/** What `crictl images` prints on a node, as a shell command; `arrives` is run by `image load`. */
const nodes = (answer: string, arrives = ':'): void =>
  clone.script(
    'minikube',
    `case "$*" in *crictl*) ${answer};; "image load"*) [ -s "$3" ] && { ${arrives}; };; esac`,
  );

test.before.each(() => {
  mkdirSync(environment.state, { recursive: true });
  const items = ['one', 'two'].map((name) => ({ metadata: { name } }));
  clone.script('kubectl', `echo '${JSON.stringify({ items })}'`);
  clone.script(
    'docker',
    'case "$*" in "image inspect"*) echo "Error: No such image: x" >&2; exit 1;; save*) echo archive > "$3";; esac',
  );
  clone.forget();
});
test.after.each(() => clone.reset());
test.after(() => clone.remove());

/** As crictl prints it, of containerd, behind the warning that it shares its stream with. */
const holding = (...names: readonly string[]): string =>
  `echo 'WARN[0000] using defaults'; echo '${JSON.stringify({ images: [{ id: 'x' }, { repoTags: names.map((name) => `docker.io/${name}`) }] })}'`;

const changes = (): string[] => clone.calls().filter((line) => !/crictl|get nodes|image inspect/.test(line));

test('a Docker that does not answer is an error, not an image that is absent', async () => {
  clone.script('docker', 'echo "Cannot connect to the Docker daemon" >&2; exit 1');
  const error = await failureOf(build());
  assert.is(error.why, 'Cannot connect to the Docker daemon');
  assert.is(clone.calls().length, 1);
});

test('nodes that have the image under both names get nothing', async () => {
  nodes(holding(asked, built));
  assert.is(await load(), 'unchanged');
  assert.equal(changes(), []);
});

test('an image with other inputs is replaced, by the commands of the dry run', async () => {
  const mark = join(environment.state, 'arrived');
  const [old, now] = [holding(asked), holding(asked, built)];
  nodes(`if [ -e ${mark} ]; then ${now}; else ${old}; fi`, `touch ${mark}`);
  assert.is(await load(), 'changed');
  const lines = await loadCommands(context, images);
  const archive = '.state/development/images.tar';
  assert.equal(
    changes().map((line) => line.replace(join(clone.folder, archive), archive)),
    lines.slice(0, -1),
  );
  assert.equal(lines, [
    `docker tag ${built} ${asked}`,
    `docker save --output ${archive} ${asked} ${built}`,
    `minikube image load ${archive} --profile ${environment.clusterName}`,
    `rm ${archive}`,
  ]);
  assert.not.ok(existsSync(join(clone.folder, archive)));
  // minikube keeps a copy in every node.
  const removals = clone.calls().filter((line) => line.includes('rm -f /var/lib/minikube/images/images.tar'));
  assert.is(removals.length, 2 * 2);
});

test('one node without the image is enough', async () => {
  const mark = join(environment.state, 'arrived');
  const [none, now] = [holding(), holding(asked, built)];
  nodes(`case "$*" in *two*) [ -e ${mark} ] || { ${none}; exit; };; esac; ${now}`, `touch ${mark}`);
  assert.is(await load(), 'changed');
  assert.is(changes().length, 3);
});

test('a node that did not take it is named, though minikube succeeded', async () => {
  nodes(`case "$*" in *two*) ${holding(asked)};; *) ${holding(asked, built)};; esac`);
  const error = await failureOf(load());
  assert.is(error.what, `the image ${asked} did not arrive in two`);
});

test('a node that does not answer is an error, not a node without images', async () => {
  nodes('echo "ssh: handshake failed" >&2; exit 1');
  const { what, why } = await failureOf(load());
  assert.match(what, /^cannot list the images of node (one|two)$/);
  assert.is(why, 'ssh: handshake failed');
  nodes('echo "Trace of a crash"');
  const error = await failureOf(load());
  assert.match(error.why ?? '', 'Trace of a crash');
  assert.equal(changes(), []);
});

test('an archive that could not be loaded is not left behind', async () => {
  nodes(holding(), 'exit 80');
  const error = await failureOf(load());
  assert.is(error.exitCode, 80);
  assert.not.ok(existsSync(join(environment.state, 'images.tar')));
});

test('a cluster that lists no nodes does not have the image', async () => {
  nodes('exit 1');
  clone.script('kubectl', `echo '{"items":[]}'`);
  assert.is((await failureOf(load())).what, 'the cluster has no nodes to load an image into');
});

test.run();
