import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { howToPush, judge } from '../../../lib/cluster/images/preflight.ts';

const own = {
  name: 'backendVerification',
  repository: 'k8s-deployment/backend-verification',
  tag: '1.0',
  digest: '',
  folder: 'docker/backend-verification',
  releases: ['app1-back'],
};
const private_ = { ...own, repository: 'registry.example/team/image' };
const digest = `sha256:${'a'.repeat(64)}`;

const name = 'docker.io/k8s-deployment/backend-verification:1.0';
const node = (name: string, ...images: string[]) => ({ name, images: new Set(images), full: false });
const empty = [node('a'), node('b')];

test('an image in neither registry nor node is reported as missing', () => {
  assert.equal(judge(own, empty, { kind: 'absent' }), {
    kind: 'missing',
    why: 'docker.io does not have it, and none of 2 nodes has it',
  });
  assert.is(judge(private_, empty, { kind: 'absent' }).kind, 'missing');
});

test('an image in the registry is fine', () => {
  assert.is(judge(own, empty, { kind: 'there' }).kind, 'fine');
});

test('an image that a node may have is not reported as missing', () => {
  const some = [node('a', name), node('b')];
  assert.equal(judge(own, some, { kind: 'absent' }), {
    kind: 'doubt',
    why: 'docker.io does not have it, and only a of 2 nodes has it',
  });
  assert.is(judge(own, [{ ...node('a'), full: true }], { kind: 'absent' }).kind, 'doubt');
  assert.is(judge(own, undefined, { kind: 'absent' }).kind, 'doubt');
});

test('an image behind a login may be private, unless its name is for loaded images', () => {
  assert.is(judge(private_, empty, { kind: 'denied' }).kind, 'doubt');
  assert.is(
    judge({ ...own, repository: `docker.io/${own.repository}` }, empty, { kind: 'denied' }).kind,
    'doubt',
  );
  assert.is(judge(own, empty, { kind: 'denied' }).kind, 'missing');
});

test('a silent registry is a warning, unless a node has the image', () => {
  const unknown = { kind: 'unknown', reason: 'no name' } as const;
  assert.equal(judge(own, empty, unknown), {
    kind: 'doubt',
    why: 'docker.io could not be asked (no name), and none of 2 nodes has it',
  });
  for (const answer of [unknown, { kind: 'denied' } as const])
    assert.is(judge(own, [node('a', name), node('b')], answer).kind, 'fine');
});

test('with a digest no other content under the tag counts', () => {
  const pinned = { ...own, digest };
  const other = [node('a', name)];
  const same = [node('a', `docker.io/${own.repository}@${digest}`), node('b')];
  assert.is(judge(pinned, other, { kind: 'denied' }).kind, 'missing');
  assert.is(judge(pinned, same, { kind: 'denied' }).kind, 'fine');
});

test('how to push: into a registry of the user’s, by the task where one does it', () => {
  const first = 'to one of a registry that the nodes can reach, then';
  const last =
    'where the nodes get it by a login or from a mirror, name its host: docker.io/k8s-deployment/backend-verification';
  assert.is(
    howToPush(own),
    `set images.backendVerification.repository ${first} run \`npx tsx tasks.ts build-push-backend-verification 1.0\`; ${last}`,
  );
  assert.is(
    howToPush({ ...own, name: 'backend', folder: 'docker/our backend' }),
    `set images.backend.repository ${first} run docker build --tag REPOSITORY:1.0 'docker/our backend' && docker push REPOSITORY:1.0; ${last}`,
  );
  assert.is(
    howToPush({ ...private_, digest }),
    'run `npx tsx tasks.ts build-push-backend-verification 1.0`, and put its new digest into images.backendVerification.digest',
  );
});

test.run();
