import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Environment } from '../../../lib/settings/environment.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf, type RecordedContext } from '../../rig/task-context.ts';

/* An existing cluster with scripted nodes, and a registry on loopback. */

type State = {
  clone: ScriptedClone;
  lib: typeof import('../../../lib/cluster/images/preflight.ts');
  environment: Environment;
  context: RecordedContext;
  registry: Server;
  /** Requests to the registry. */
  asked: string[];
  repository: string;
  cluster: (...nodes: readonly (readonly string[])[]) => void;
};

const test = suite<State>('images of an existing cluster');

test.before(async (state) => {
  state.clone = scriptedClone();
  state.lib = await state.clone.lib('cluster/images/preflight.ts');
  state.environment = await state.clone.environment('existing');
  state.asked = [];
  state.registry = createServer((request, response) => {
    state.asked.push(request.url ?? '');
    response.writeHead(request.url?.includes('/there/') ? 200 : 404).end();
  });
  await new Promise<void>((resolve) => state.registry.listen(0, '127.0.0.1', resolve));
  state.repository = `127.0.0.1:${(state.registry.address() as AddressInfo).port}`;
  state.cluster = (...nodes) => {
    const items = nodes.map((names, index) => ({
      metadata: { name: `node-${index}` },
      status: { images: names.map((name) => ({ names: [name] })) },
    }));
    state.clone.script('kubectl', `echo '${JSON.stringify({ items })}'`);
  };
});

test.before.each(async (state) => {
  state.context = await state.clone.context('existing');
  state.asked.length = 0;
});

test.after.each(({ clone }) => clone.reset());
test.after(({ clone, registry }) => {
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

test('all missing images are reported together, with the releases and how to push them', async ({
  lib,
  environment,
  context,
  repository,
  cluster,
}) => {
  cluster([], []);
  const images = [
    image(`${repository}/absent`),
    image(`${repository}/there`),
    image(`${repository}/other`, 'backend'),
  ];
  const error = await failureOf(lib.checkImages({ ...context, environment }, images));
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

test('no registry request for an image that every node has', async ({
  lib,
  environment,
  context,
  asked,
  cluster,
}) => {
  cluster(['docker.io/some/image:1.0', 'other'], ['some/image:1.0']);
  await lib.checkImages({ ...context, environment }, [image('some/image')]);
  assert.equal([asked, context.logged], [[], []]);
});

test('without the right to list nodes, nothing is reported as missing', async ({
  lib,
  clone,
  environment,
  context,
  repository,
}) => {
  clone.script('kubectl', 'echo "nodes is forbidden" >&2; exit 1');
  await lib.checkImages({ ...context, environment }, [image(`${repository}/absent`)]);
  assert.equal(context.logged, [
    'warning: cannot check which images the nodes have: nodes is forbidden',
    `warning: the image ${repository}/absent:1.0 may be missing: ${repository} does not have it, and a node may have it`,
  ]);
});

test('images of others are not checked', async ({ lib, clone, environment, context }) => {
  clone.forget();
  await lib.checkImages({ ...context, environment }, []);
  assert.equal(clone.calls(), []);
});

test.run();
