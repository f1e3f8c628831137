import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { task } from '@k8s-deployment/runner';
import * as assert from 'uvu/assert';
import { buildImages, imagesToBuild, ownImages } from '../../../lib/cluster/images/own-images.ts';
import { loadCommands, loadImages } from '../../../lib/cluster/minikube/images.ts';
import { declaredReleases } from '../../../lib/helm/helmfile.ts';
import { buildGraph } from '../../../lib/runner/graph.ts';
import { runInProcess } from '../../../lib/runner/tests/rig/in-process-run.ts';
import * as tasks from '../../../tasks/images.ts';
import { context, listing, printing, scriptedSuite } from '../../rig/scripted-folder.ts';
import { fails } from '../../rig/task-context.ts';

const files = ['environments', 'docker', 'helmfile.yaml'];
const { test, project } = scriptedSuite('images for minikube', 'minikube', ...files);

const asked = 'k8s-deployment/backend-verification:0.1.0';
const first = await project.context('minikube');
const { environment, settings } = first;
const images = await imagesToBuild(first, ownImages(settings, await declaredReleases(project.folder)));
const [{ built } = { built: '' }] = images;
const build = () => buildImages(context, images);
const load = () => loadImages(context, images);

/** What `crictl images` prints on a node, as a shell command; `arrives` is run by `image load`. */
const nodes = (answer: string, arrives = ':'): void =>
  project.script('minikube', { crictl: answer, 'image load': `[ -s "$3" ] && { ${arrives}; }` });

test.before.each(() => {
  project.script('kubectl', listing(...['one', 'two'].map((name) => ({ metadata: { name } }))));
  project.script('docker', {
    'image inspect': 'echo "Error: No such image: x" >&2; exit 1',
    save: 'echo archive > "$3"',
  });
});

/** As crictl prints it, of containerd, behind the warning that it shares its stream with. */
const holding = (...names: readonly string[]): string =>
  `echo 'WARN[0000] using defaults'; ${printing({ images: [{ id: 'x' }, { repoTags: names.map((name) => `docker.io/${name}`) }] })}`;

const changes = (): string[] => project.calls(/^(?!.*(?:crictl|get nodes|image inspect))/);

test('a Docker that does not answer is an error, not an image that is absent', async () => {
  project.script('docker', 'echo "Cannot connect to the Docker daemon" >&2; exit 1');
  await fails(build(), { why: 'Cannot connect to the Docker daemon' });
  assert.is(project.calls().length, 1);
});

test('nodes that have the image under both names get nothing', async () => {
  nodes(holding(asked, built));
  assert.is(await load(), 'unchanged');
  assert.equal(changes(), []);
});

test('an image with other inputs, even in one node alone, is replaced by the commands of the dry run', async () => {
  const mark = join(environment.state, 'arrived');
  const [old, now] = [holding(asked), holding(asked, built)];
  nodes(`case "$*" in *two*) [ -e ${mark} ] || { ${old}; exit; };; esac; ${now}`, `touch ${mark}`);
  assert.is(await load(), 'changed');
  const lines = loadCommands(context, images);
  const archive = '.state/development/images.tar';
  const whole = join(project.folder, archive);
  const changed = changes().map((line) => line.replace(whole, archive));
  assert.equal(changed, lines.slice(0, -1));
  assert.not.ok(existsSync(whole));
  // minikube keeps a copy in every node.
  const removal = 'rm -f /var/lib/minikube/images/images.tar';
  assert.is(project.calls(removal).length, 2 * 2);
});

test('a node that did not take it is named, though minikube succeeded', async () => {
  nodes(`case "$*" in *two*) ${holding(asked)};; *) ${holding(asked, built)};; esac`);
  await fails(load(), { what: `the image ${asked} did not arrive in two` });
});

test('a node that does not answer is an error, not a node without images', async () => {
  nodes('echo "ssh: handshake failed" >&2; exit 1');
  await fails(load(), { what: /^cannot list the images of node (one|two)$/, why: 'ssh: handshake failed' });
  nodes('echo "Trace of a crash"');
  await fails(load(), { why: /Trace of a crash/ });
  assert.equal(changes(), []);
});

test('an archive that could not be loaded is not left behind', async () => {
  nodes(holding(), 'exit 80');
  await fails(load(), { exitCode: 80 });
  assert.not.ok(existsSync(join(environment.state, 'images.tar')));
});

test('a cluster that lists no nodes does not have the image', async () => {
  nodes('exit 1');
  project.script('kubectl', listing());
  await fails(load(), { what: 'the cluster has no nodes to load an image into' });
});

/** The words of what Docker was asked for by the task, in a run that remembers the ones before, and how it ended. */
async function buildTask(): Promise<string[]> {
  project.forget();
  const call = { task: task({ ...tasks.buildImages, needs: [] }), args: { app: 'app1' }, passThrough: [] };
  const graph = await buildGraph([call], { env: 'development', provider: 'minikube' }, 'run');
  const { events, exitCode } = runInProcess(graph, 1, 'no-new', { memory: join(project.folder, 'memory') });
  assert.is(await exitCode, 0, JSON.stringify(events));
  const end = events.find(({ type }) => ['task-done', 'task-up-to-date'].includes(type));
  return [...project.calls().map((line) => line.split(' ').slice(1, 3).join(' ')), end?.type ?? ''];
}

test('an image is built once, and again when Docker has lost it', async () => {
  const built = join(project.folder, 'built');
  const absent = 'echo "Error: No such image: x" >&2; exit 1';
  project.script('docker', { 'image inspect': `[ -e ${built} ] || { ${absent}; }`, build: `touch ${built}` });
  assert.equal(await buildTask(), ['image inspect', 'build --tag', 'task-done']);
  assert.equal(await buildTask(), ['image inspect', 'task-up-to-date']);
  project.script('docker', { 'image inspect': absent });
  assert.equal(await buildTask(), ['image inspect', 'image inspect', 'build --tag', 'task-done']);
});

test.run();
