import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { stringify } from 'yaml';
import { connectExisting } from '../../../lib/cluster/existing/user-kubeconfig.ts';
import type { Environment } from '../../../lib/settings/context.ts';
import { environmentIn } from '../../rig/environment.ts';
import { failureOf, taskContext } from '../../rig/task-context.ts';

/* How the real kubectl reads kubeconfigs; no server is called. */

const test = suite<{ folder: string; environment: Environment }>(
  'the user’s kubeconfig and the real kubectl',
);
const { KUBECONFIG } = process.env;

test.before((state) => {
  state.folder = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
  state.environment = { ...environmentIn(state.folder, 'existing'), context: 'team' };
});
test.after(({ folder }) => {
  if (KUBECONFIG === undefined) delete process.env.KUBECONFIG;
  else process.env.KUBECONFIG = KUBECONFIG;
  rmSync(folder, { recursive: true });
});

const context = () => taskContext({ env: 'development', provider: 'existing', context: 'team' });

test('the copy includes certificates, keeps the token’s file, and is not changed by another file', async ({
  folder,
  environment,
}) => {
  const place = join(folder, 'team');
  mkdirSync(place);
  writeFileSync(join(place, 'ca.pem'), 'authority');
  writeFileSync(join(place, 'token'), 'token');
  writeFileSync(
    join(place, 'config'),
    stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server: 'https://one', 'certificate-authority': 'ca.pem' } }],
      users: [{ name: 'u', user: { tokenFile: 'token' } }],
      contexts: [{ name: 'team', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'other',
    }),
  );
  process.env.KUBECONFIG = [join(folder, 'none'), join(place, 'config')].join(':');
  await connectExisting({ ...context(), environment });
  const copy = JSON.parse(readFileSync(environment.kubeconfig, 'utf8'));
  assert.is(copy['current-context'], 'team');
  assert.is(
    copy.clusters[0].cluster['certificate-authority-data'],
    Buffer.from('authority').toString('base64'),
  );
  assert.is(copy.users[0].user.tokenFile, join(place, 'token'));
});

test('a missing context and an unreadable file give different errors', async ({ folder, environment }) => {
  rmSync(environment.kubeconfig, { force: true });
  process.env.KUBECONFIG = join(folder, 'none');
  assert.is((await failureOf(connectExisting({ ...context(), environment }))).exitCode, 2);
  writeFileSync(join(folder, 'damaged'), 'clusters: [');
  process.env.KUBECONFIG = join(folder, 'damaged');
  const { exitCode, why } = await failureOf(connectExisting({ ...context(), environment }));
  assert.is(exitCode, 1);
  assert.match(why ?? '', 'error loading config file');
});

test.run();
