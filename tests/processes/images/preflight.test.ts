import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { checkImages } from '../../../lib/cluster/images/preflight.ts';
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf } from '../../rig/task-context.ts';

/* An existing cluster with scripted nodes, and a registry on loopback. */

const test = suite('images of an existing cluster');

const clone = scriptedFolder('environments');
let context: CloneContext;
/** Requests to the registry. */
let asked: string[] = [];
const registry = createServer((request, response) => {
  asked.push(request.url ?? '');
  response.writeHead(request.url?.includes('/there/') ? 200 : 404).end();
});
await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
const repository = `127.0.0.1:${(registry.address() as AddressInfo).port}`;

function cluster(...nodes: readonly (readonly string[])[]): void {
  const items = nodes.map((names, index) => ({
    metadata: { name: `node-${index}` },
    status: { images: names.map((name) => ({ names: [name] })) },
  }));
  clone.script('kubectl', `echo '${JSON.stringify({ items })}'`);
}

test.before.each(async () => {
  context = await clone.context('existing');
  asked = [];
});
test.after(() => {
  registry.closeAllConnections();
  registry.close();
  clone.remove();
});

const image = (repository: string, name = 'backendVerification') => ({
  name,
  repository,
  tag: '1.0',
  digest: '',
  folder: 'docker/some',
  releases: ['app1-back', 'app2-back'],
});

test('all missing images are reported together, with the releases and how to push them', async () => {
  cluster([], []);
  const images = [
    image(`${repository}/absent`),
    image(`${repository}/there`),
    image(`${repository}/other`, 'backend'),
  ];
  const error = await failureOf(checkImages(context, images));
  assert.is(
    error.what,
    `missing in the cluster: the image ${repository}/absent:1.0 of app1-back and app2-back, the image ${repository}/other:1.0 of app1-back and app2-back`,
  );
  assert.match(error.why ?? '', `${repository} does not have it, and none of 2 nodes has it`);
  assert.equal((error.advice ?? '').split('\n'), [
    'run `npx tsx tasks.ts build-push-backend-verification 1.0`',
    `run docker build --tag ${repository}/other:1.0 docker/some && docker push ${repository}/other:1.0`,
  ]);
  assert.equal(context.logged, []);
});

test('no registry request for an image that every node has', async () => {
  cluster(['docker.io/some/image:1.0', 'other'], ['some/image:1.0']);
  await checkImages(context, [image('some/image')]);
  assert.equal([asked, context.logged], [[], []]);
});

test('without the right to list nodes, nothing is reported as missing', async () => {
  clone.script('kubectl', 'echo "nodes is forbidden" >&2; exit 1');
  await checkImages(context, [image(`${repository}/absent`)]);
  assert.equal(context.logged, [
    'warning: cannot check which images the nodes have: nodes is forbidden',
    `warning: the image ${repository}/absent:1.0 may be missing: ${repository} does not have it, and a node may have it`,
  ]);
});

test('images of others are not checked', async () => {
  clone.forget();
  await checkImages(context, []);
  assert.equal(clone.calls(), []);
});

test.run();
