import { rootCertificates } from 'node:tls';
import * as assert from 'uvu/assert';
import { readText } from '../../integration/sandbox.ts';
import { areReady, endWithoutLoss, startCaller } from '../pods.ts';
import type { Stack } from '../stack.ts';

type Breach = {
  readonly app: 'app1' | 'app2';
  readonly values: object;
  /** Text that the error and the saved explanation must contain. */
  readonly cause: RegExp;
};

export const breaches: Readonly<Record<string, Breach>> = {
  'a bad image': {
    app: 'app2',
    values: { image: { tag: 'never-built' } },
    cause: /pod backend\/app2-back-\S+: .*never-built/,
  },
  'a failing probe': {
    app: 'app2',
    // Runs forever without listening.
    values: { image: { repository: 'registry.k8s.io/pause', tag: '3.10' } },
    cause: /Unhealthy: Startup probe failed/,
  },
  'a failing verification': {
    app: 'app2',
    // Another CA than that of the database's certificate.
    values: { database: { authority: `${rootCertificates[0]}\n` } },
    cause: /FAILED database login: .*certificate/,
  },
  'a breach of the quota': {
    app: 'app1',
    values: {
      replicas: 8,
      resources: { requests: { cpu: '100m', memory: '500Mi' }, limits: { cpu: '100m', memory: '500Mi' } },
    },
    cause: /exceeded quota: backend-quota/,
  },
  'a policy that blocks the database': {
    app: 'app2',
    values: { database: { podLabels: { 'app.kubernetes.io/name': 'nobody' } } },
    cause: /FAILED database login: /,
  },
};

type Revision = { readonly revision: number; readonly status: string; readonly description: string };

/**
 * The install fails with the reason, the previous revision is restored and serves, and no request is lost.
 */
export async function isRolledBack(stack: Stack, { app, values, cause }: Breach): Promise<void> {
  const release = `${app}-back`;
  const history = async (): Promise<Revision[]> =>
    JSON.parse(await stack.helm('history', release, '-n', 'backend', '-o', 'json'));
  const manifest = () => stack.helm('get', 'manifest', release, '-n', 'backend');
  const before = { revision: (await history()).at(-1)?.revision ?? 0, manifest: await manifest() };
  const known = await stack.diagnostics();
  const caller = await startCaller(stack, [`${app}-front`]);

  // helm's timeout in seconds, instead of that in helmfile.yaml
  const ended = await stack.impatiently(60, () =>
    stack.taskWith({ releases: { [release]: values } }, 'install-app', app),
  );

  assert.is.not(ended.exitCode, 0, ended.stderr);
  assert.match(ended.stderr, `installing ${release} failed; what was deployed before is back`);
  assert.match(ended.stderr, cause);
  const [saved, ...more] = (await stack.diagnostics()).filter((file) => !known.includes(file));
  assert.ok(saved && more.length === 0, 'one explanation is saved');
  assert.match(await readText(saved), cause);

  const last = (await history()).at(-1);
  assert.is(last?.status, 'deployed');
  assert.match(last?.description ?? '', `Rollback to ${before.revision}`);
  assert.is(await manifest(), before.manifest);
  const selector = `app.kubernetes.io/instance=${release},app.kubernetes.io/component=server`;
  await areReady(stack, 'backend', selector, 2);
  await endWithoutLoss(caller);

  await stack.succeeds('test-app', app);
}
