import * as assert from 'uvu/assert';
import { ourNamespaces } from '../../network/connections.ts';
import { environment } from '../options.ts';
import { isReady } from '../pods.ts';
import { readText, type Stack, until } from '../stack.ts';

/** `create-environment` and `install-tier apps`, the latter a second time without changes. */
export async function deploy(stack: Stack): Promise<void> {
  await stack.succeeds('create-environment');
  await stack.succeeds('install-tier', 'apps');
  const again = await stack.succeeds('install-tier', 'apps');
  assert.not.match(again.stderr, 'installing:');
}

export async function statusIsGreen(stack: Stack): Promise<void> {
  const status = await stack.status();
  assert.is(status.environment, environment);
  assert.is(status.provider, 'existing');
  assert.is(status.cluster.state, 'running');
  assert.equal(
    status.releases.map(({ status: word }) => word),
    Array(10).fill('deployed'),
  );
  assert.equal(status.vault, { initialized: true, sealed: false, configured: true });
  assert.equal(status.database, { reachable: true });
}

/** The namespaces admit only pods that comply with the level `restricted`. */
export async function podsAreReady(stack: Stack): Promise<void> {
  for (const namespace of ourNamespaces)
    await until(`pods of ${namespace}`, 120, async () => {
      const all = await stack.list('pods', '-n', namespace);
      const running = all.filter(({ status }) => status.phase !== 'Succeeded');
      return running.length > 0 && running.every(isReady);
    });
}

/** Both sources of secrets lead to a login; the checks run as pods. */
export async function logsIn(stack: Stack): Promise<void> {
  const { stderr } = await stack.succeeds('test');
  for (const app of ['app1', 'app2'])
    assert.match(stderr, new RegExp(`${app}-back-verification-\\w+: .*ok database login`), stderr);
}

/** No file written by the tasks contains a password. */
export async function nothingIsLeaked(stack: Stack): Promise<void> {
  const { data } = await stack.get('secret', '-n', 'backend', 'app2-back-database');
  const password = Buffer.from(data.DB_PASSWORD, 'base64').toString();
  assert.ok(password.length >= 8);
  for (const file of await stack.diagnostics())
    assert.not.ok((await readText(file)).includes(password), file);
  const events = await stack.kubectl(['get', 'events', '-A', '-o', 'json']);
  assert.not.ok(events.includes(password), 'events');
  for (const release of ['app1-back', 'app2-back']) {
    const values = await stack.helm('get', 'all', release, '-n', 'backend');
    assert.not.ok(values.includes(password) || values.includes(data.DB_PASSWORD), release);
  }
}
