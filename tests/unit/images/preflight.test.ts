import type { RequestListener } from 'node:http';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkImages, howToPush, judge } from '../../../lib/cluster/images/preflight.ts';
import { askRegistry, fullName, namesHost, serverOf } from '../../../lib/tools/registry.ts';
import { serve } from '../../rig/loopback.ts';
import { answeringShell, fails, failureOf, taskContext } from '../../rig/task-context.ts';

const own = {
  ...{ name: 'backendVerification', repository: 'k8s-deployment/backend-verification', tag: '1.0' },
  ...{ digest: '', folder: 'docker/backend-verification', releases: ['app1-back', 'app2-back'] },
};
const elsewhere = { ...own, repository: 'registry.example/team/image' };
const digest = `sha256:${'a'.repeat(64)}`;
const pinned = { ...own, digest };

const name = 'docker.io/k8s-deployment/backend-verification:1.0';
const node = (name: string, ...images: string[]) => ({ name, images: new Set(images), full: false });
const empty = [node('a'), node('b')];
const some = [node('a', name), node('b')];
const same = [node('a', `docker.io/${own.repository}@${digest}`), node('b')];

const unasked = 'doubt: docker.io could not be asked';

test('an image is missing only if its registry says so and certainly no node has it', () => {
  for (const [title, image, nodes, answer, verdict] of [
    ['in neither', own, empty, 404, 'missing: docker.io does not have it, and none of 2 nodes has it'],
    ['in neither, of a host', elsewhere, empty, 404, 'missing'],
    ['in the registry', own, empty, 200, 'fine'],
    ['on a node', own, some, 404, 'doubt: docker.io does not have it, and only a of 2 nodes has it'],
    ['perhaps on a node that lists no more', own, [{ ...node('a'), full: true }], 404, 'doubt'],
    ['perhaps private', elsewhere, empty, 401, 'doubt'],
    ['perhaps private', { ...own, repository: `docker.io/${own.repository}` }, empty, 401, 'doubt'],
    ['of a name for loaded images', own, empty, 401, 'missing'],
    ['silent registry', own, empty, 'no name', `${unasked} (no name), and none of 2 nodes has it`],
    ['failing registry', own, undefined, 503, `${unasked} (it answers 503), and a node may have it`],
    ['silent registry, on a node', own, some, 'no name', 'fine'],
    ['behind a login, on a node', own, some, 401, 'fine'],
    ['with a digest, the tag on a node', pinned, [node('a', name)], 401, 'missing'],
    ['with a digest, on a node', pinned, same, 401, 'fine'],
  ] as const) {
    const found = judge(image, nodes, answer);
    const kind = found === undefined ? 'fine' : found.isMissing ? 'missing' : 'doubt';
    assert.is(verdict.includes(':') ? `${kind}: ${found?.why}` : kind, verdict, title);
  }
});

test('how to push: into a registry of the user’s, by the task where one does it', () => {
  const first = 'to one of a registry that the nodes can reach, then run';
  const task = '`npx tsx tasks.ts build-push-backend-verification 1.0`';
  const last = `where the nodes get it by a login or from a mirror, name its host: ${name.replace(':1.0', '')}`;
  assert.is(howToPush(own), `set images.backendVerification.repository ${first} ${task}; ${last}`);
  const build = "docker build --tag REPOSITORY:1.0 'docker/our backend' && docker push REPOSITORY:1.0";
  const other = { ...own, name: 'backend', folder: 'docker/our backend' };
  assert.is(howToPush(other), `set images.backend.repository ${first} ${build}; ${last}`);
  const digestTo = 'put its new digest into images.backendVerification.digest';
  assert.is(howToPush({ ...elsewhere, digest }), `run ${task}, and ${digestTo}`);
});

const asked: string[] = [];
let answer: RequestListener;
const host = await serve((request, response) => {
  asked.push(`${request.method} ${request.url}`);
  answer(request, response);
});
test.before.each(() => {
  asked.length = 0;
});

const ask = (signal = new AbortController().signal, from = host) =>
  askRegistry(`${from}/team/image`, '1.2', signal);
const challenging =
  (challenge: string): RequestListener =>
  (_, response) =>
    response.writeHead(401, { 'WWW-Authenticate': challenge }).end();

test('the registry’s answer for the manifest decides; no token, or a password prompt, counts as denied', async () => {
  for (const status of [200, 404, 401, 403, 503]) {
    answer = (_, response) => response.writeHead(status).end();
    assert.is(await ask(), status);
  }
  assert.is(asked[0], 'HEAD /v2/team/image/manifests/1.2');
  for (const challenge of [`Bearer realm="http://${host}/token"`, 'Basic realm="some"']) {
    answer = challenging(challenge);
    assert.is(await ask(), 401);
  }
});

test('an invalid answer is not interpreted, and a stopped run does not wait for one', async () => {
  const challenge = challenging(`Bearer realm="http://${host}/token"`);
  for (const text of ['no JSON', '{}']) {
    answer = (request, response) =>
      request.url === '/token' ? response.end(text) : challenge(request, response);
    assert.type(await ask(), 'string');
  }
  assert.match(String(await ask(undefined, '127.0.0.1:2')), 'ECONNREFUSED');
  const controller = new AbortController();
  answer = () => controller.abort(new Error('stopped'));
  assert.is((await failureOf(ask(controller.signal))).message, 'stopped');
});

test('names of Docker and of containerd are equal, and only Docker Hub has a server of another name', () => {
  for (const name of ['nginx:1', 'library/nginx:1', 'docker.io/nginx:1', 'docker.io/library/nginx:1'])
    assert.is(fullName(name), 'docker.io/library/nginx:1');
  assert.is(fullName('a/b:1'), 'docker.io/a/b:1');
  assert.is(fullName('localhost:5000/a:1'), 'localhost:5000/a:1');
  assert.equal(['a/b', 'localhost/b', 'ghcr.io/a', 'host:5000/a'].map(namesHost), [false, true, true, true]);
  const servers = ['nginx', 'docker.io/hashicorp/vault', 'ghcr.io/a/b/c', 'localhost:5000/a'].map(serverOf);
  assert.equal(servers, ['registry-1.docker.io', 'registry-1.docker.io', 'ghcr.io', 'localhost:5000']);
});

const backs = 'app1-back and app2-back';

/** A cluster whose nodes have these images, or whose nodes must not be listed. */
function cluster(...nodes: readonly (readonly string[])[]) {
  const items = nodes.map((names, index) => ({
    metadata: { name: `node-${index}` },
    status: { images: names.map((name) => ({ names: [name] })) },
  }));
  const forbidden = { stderr: 'nodes is forbidden', exitCode: 1 };
  const listed = nodes.length === 0 ? forbidden : { stdout: JSON.stringify({ items }) };
  answer = ({ url }, response) => response.writeHead(url?.includes('/there/') ? 200 : 404).end();
  return { ...taskContext({ provider: 'existing', context: 'team' }), $: answeringShell(() => listed) };
}

const image = (repository: string, name = own.name) => ({ ...own, repository, name });

test('all missing images are reported together, with the releases and how to push them', async () => {
  const context = cluster([], []);
  const images = [image(`${host}/absent`), image(`${host}/there`), image(`${host}/other`, 'backend')];
  const missing = ['absent', 'other'].map((path) => `the image ${host}/${path}:1.0 of ${backs}`);
  const other = `${host}/other:1.0`;
  const error = await fails(checkImages(context, images), {
    what: `missing in the cluster: ${missing.join(', ')}`,
    advice: [
      'run `npx tsx tasks.ts build-push-backend-verification 1.0`',
      `run docker build --tag ${other} docker/backend-verification && docker push ${other}`,
    ].join('\n'),
  });
  assert.match(error.why ?? '', `${host} does not have it, and none of 2 nodes has it`);
  assert.equal(context.logged, []);
});

test('no registry request for an image that every node has', async () => {
  const context = cluster(['docker.io/some/image:1.0', 'other'], ['some/image:1.0']);
  await checkImages(context, [image('some/image')]);
  assert.equal([asked, context.logged], [[], []]);
});

test('without the right to list nodes, nothing is reported as missing', async () => {
  const context = cluster();
  await checkImages(context, []);
  assert.equal(context.logged, []);
  await checkImages(context, [image(`${host}/absent`)]);
  assert.equal(context.logged, [
    'warning: cannot check which images the nodes have: nodes is forbidden',
    `warning: the image ${host}/absent:1.0 may be missing: ${host} does not have it, and a node may have it`,
  ]);
});

test.run();
