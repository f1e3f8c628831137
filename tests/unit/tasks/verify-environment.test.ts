import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildGraph } from '../../../lib/runner/graph.ts';
import { verifyEnvironment } from '../../../tasks/environment.ts';
import { fails } from '../../rig/task-context.ts';

async function labels(provider: string): Promise<string[]> {
  const options = { env: 'development', provider, context: 'team' };
  const call = { task: verifyEnvironment, args: {}, passThrough: [] };
  const { nodes } = await buildGraph([call], options, 'run');
  return nodes.map(({ label }) => label).filter((label) => !label.startsWith('install-tool '));
}

test('what will be removed is marked before anything is created, and removed after everything', async () => {
  for (const provider of ['embedded', 'minikube']) {
    const steps = await labels(provider);
    assert.equal(steps.slice(0, 2), ['unused-environment', 'scratch-environment'], provider);
    assert.equal(steps.slice(-2), ['verify-environment', 'remove-scratch'], provider);
    const main = ['create-k8s', 'create-environment', 'install-all', 'test', 'verify-environment'];
    assert.equal(
      steps.filter((label) => main.includes(label)),
      main,
    );
    assert.is(steps.includes('test-routes'), provider === 'minikube');
  }
});

test('an existing cluster is neither created nor removed', async () => {
  assert.equal(await labels('existing'), ['verify-environment']);
  const options = { env: 'development', provider: 'existing', context: 'team' };
  const input = { args: { logs: undefined }, options, passThrough: [] };
  await fails((async () => verifyEnvironment.check?.(input, []))(), { exitCode: 2 });
});

test.run();
