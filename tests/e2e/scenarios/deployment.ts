import * as assert from 'uvu/assert';
import { ourNamespaces } from '../../network/connections.ts';
import { environment } from '../options.ts';
import { isReady, type Pod, podsOf } from '../pods.ts';
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

/** Every pod is ready and complies with the level `restricted`. */
export async function podsAreRestricted(stack: Stack): Promise<void> {
  for (const namespace of ourNamespaces) {
    await until(`pods of ${namespace}`, 120, async () => {
      const { items } = await stack.get<{ items: Pod[] }>('pods', '-n', namespace);
      const running = items.filter(({ status }) => status.phase !== 'Succeeded');
      return running.length > 0 && running.every(isReady);
    });
    type Namespace = { metadata: { labels: Record<string, string> } };
    const { metadata } = await stack.get<Namespace>('namespace', namespace);
    assert.is(metadata.labels['pod-security.kubernetes.io/enforce'], 'restricted', namespace);
    // When the level is raised, the API server checks running pods and warns about violations.
    const level = 'pod-security.kubernetes.io/enforce';
    const dryRun = ['label', '--dry-run=server', '--overwrite', 'namespace', namespace];
    await stack.kubectl([...dryRun, `${level}=restricted`, `${level}-version=latest`]);
    const raised = await stack.tryKubectl([...dryRun, `${level}=restricted`, `${level}-version=v1.31`]);
    assert.is(raised.exitCode, 0, raised.stderr);
    assert.not.match(raised.stderr, 'violate', namespace);
  }
}

/** Both sources of secrets lead to a login; the checks run as pods. */
export async function logsIn(stack: Stack): Promise<void> {
  const { stderr } = await stack.succeeds('test');
  for (const app of ['app1', 'app2'])
    assert.match(stderr, new RegExp(`${app}-back-verification-\\w+: .*ok database login`), stderr);
}

/** Secrets of both sources, by their creator. */
export async function secretsComeBothWays(stack: Stack): Promise<void> {
  type Secret = {
    metadata: { labels: Record<string, string>; ownerReferences?: { kind: string }[] };
    data: Record<string, string>;
  };
  const secret = (name: string) => stack.get<Secret>('secret', '-n', 'backend', name);
  const [vault, sops] = [await secret('app1-back-database'), await secret('app2-back-database')];
  assert.match(vault.metadata.ownerReferences?.[0]?.kind ?? '', /^Vault(Static|Dynamic)Secret$/);
  assert.is(sops.metadata.labels['app.kubernetes.io/instance'], 'devops');
  for (const { data } of [vault, sops])
    assert.equal(Object.keys(data).sort(), ['DB_HOST', 'DB_NAME', 'DB_PASSWORD', 'DB_PORT', 'DB_USER']);
}

/** No file written by the tasks contains a password. */
export async function nothingIsLeaked(stack: Stack): Promise<void> {
  type Secret = { data: Record<string, string> };
  const { data } = await stack.get<Secret>('secret', '-n', 'backend', 'app2-back-database');
  const password = Buffer.from(data.DB_PASSWORD ?? '', 'base64').toString();
  assert.ok(password.length >= 8);
  for (const file of await stack.diagnostics())
    assert.not.ok((await readText(file)).includes(password), file);
  const events = await stack.kubectl(['get', 'events', '-A', '-o', 'json']);
  assert.not.ok(events.includes(password), 'events');
  for (const release of ['app1-back', 'app2-back']) {
    const values = await stack.helm('get', 'all', release, '-n', 'backend');
    assert.not.ok(values.includes(password) || values.includes(data.DB_PASSWORD ?? ''), release);
  }
}

/**
 * app2 has the annotation for Reloader. If Reloader is a stand-in, the restart is not proven, and the test reports
 * that.
 */
export async function reloaderIsAsked(stack: Stack): Promise<void> {
  type Deployment = { metadata: { annotations: Record<string, string> } };
  const { metadata } = await stack.get<Deployment>('deployment', '-n', 'backend', 'app2-back');
  assert.is(metadata.annotations['secret.reloader.stakater.com/reload'], 'app2-back-database');
  const simulated = await podsOf(stack, 'core', 'app.kubernetes.io/instance=reloader');
  if (simulated.some(({ metadata: { labels } }) => labels?.['k8s-deployment/simulated'] === 'true'))
    process.stdout.write(
      '\n  Reloader is a stand-in here: that app2 restarts is not proven, only that it asks\n',
    );
}
