import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { kubectlList, serverVersion } from '../../../lib/kubernetes/kubectl.ts';
import { answeringShell } from '../../rig/answering-shell.ts';
import { environmentIn } from '../../rig/environment.ts';
import { fails } from '../../rig/task-context.ts';

const environment = environmentIn('/project');

/** A kubectl that prints this. */
const printing = (stdout: string, stderr = '') => ({
  $: answeringShell(() => ({ stdout, stderr })),
  environment,
});

test('JSON is read from stdout alone: warnings do not break it', async () => {
  assert.equal(await kubectlList(printing('{"items":[{}]}', 'W0101 a warning'), 'get', 'nodes'), [{}]);
});

test('an answer that is not a list is an error, and so is a failure of the API server', async () => {
  const unreadable = '`kubectl get nodes -o json` gave no readable answer';
  const failed = '`kubectl get nodes -o json` failed';
  for (const [answer, what, why] of [
    ['{}', unreadable, /no `items`/],
    ['{"items":{}}', unreadable, /no `items`/],
    ['[]', unreadable, /no `items`/],
    ['{"kind":"Status","code":500,"message":"etcd is slow"}', failed, /etcd/],
    ['{"kind":"Status","code":500}', failed, /answered with 500/],
  ] as const)
    await fails(kubectlList(printing(answer), 'get', 'nodes'), { what, why });
});

test('an object alone is a list of one, and a version has no items', async () => {
  const object = { kind: 'Secret', metadata: { name: 'a' } };
  assert.equal(await kubectlList(printing(JSON.stringify(object)), 'get', 'secret', 'a'), [object]);
  const version = { gitVersion: 'v1.31.0', minor: '31' };
  assert.equal(await serverVersion(printing(JSON.stringify({ serverVersion: version }))), version);
});

test.run();
