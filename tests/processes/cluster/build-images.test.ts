import { join } from 'node:path';
import { task } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildGraph } from '../../../lib/runner/graph.ts';
import { runInProcess } from '../../../lib/runner/tests/rig/in-process-run.ts';
import { buildImages, buildToolset } from '../../../tasks/images.ts';
import { scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf } from '../../rig/task-context.ts';

const { folder, script, calls, forget } = scriptedFolder();

/** The words of what Docker was asked for, in a run that remembers the ones before. */
async function run(): Promise<{ asked: string[]; status: string | undefined }> {
  forget();
  const alone = task({ ...buildImages, needs: [] });
  const call = { task: alone, args: { app: 'app1' }, passThrough: [] };
  const graph = await buildGraph([call], { env: 'development', provider: 'minikube' }, 'run');
  const { events, exitCode } = runInProcess(graph, 1, 'no-new', { memory: join(folder, 'memory') });
  assert.is(await exitCode, 0, JSON.stringify(events));
  const { type } = events.find(({ type }) => ['task-done', 'task-up-to-date'].includes(type)) ?? {};
  return { asked: calls().map((line) => line.split(' ').slice(1, 3).join(' ')), status: type };
}

test('an image is built once, and again when Docker has lost it', async () => {
  const built = join(folder, 'built');
  const lacking = `[ -e ${built} ] || { echo "Error: No such image: x" >&2; exit 1; }`;
  script('docker', `case "$*" in "image inspect"*) ${lacking};; build*) touch ${built};; esac`);
  assert.equal(await run(), { asked: ['image inspect', 'build --tag'], status: 'task-done' });
  assert.equal(await run(), { asked: ['image inspect'], status: 'task-up-to-date' });
  script('docker', 'case "$*" in "image inspect"*) echo "Error: No such image: x" >&2; exit 1;; esac');
  assert.equal(await run(), {
    asked: ['image inspect', 'image inspect', 'build --tag'],
    status: 'task-done',
  });
});

test('an invalid tag fails before Docker is asked; the error for an unreachable Docker quotes its reason', async () => {
  forget();
  const error = async (tag: string) => {
    const call = { task: buildToolset, args: { tag }, passThrough: [] };
    const { roots } = await buildGraph([call], { env: 'development', provider: 'minikube' }, 'run');
    const [node] = roots;
    return failureOf(Promise.resolve(node?.task.check?.(node.input, [])));
  };
  assert.is((await error('a/b')).what, '`a/b` is not a valid image tag');
  assert.equal(calls(), []);
  script('docker', 'echo "Cannot connect to tcp://dead:2375" >&2; exit 1');
  const dead = await error('1.0');
  assert.equal([dead.what, dead.why], ['Docker does not answer', 'Cannot connect to tcp://dead:2375']);
});

test.run();
