import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type DeployedRelease,
  deployedReleases,
  isSameExceptReplicas,
  manifestDigest,
} from '../../../lib/helm/releases.ts';
import { helmRecord } from '../../rig/scripted-folder.ts';
import { answeringShell, environmentIn, fails } from '../../rig/task-context.ts';

type Stored = {
  readonly [field in 'id' | 'status' | 'manifest' | 'deleted']?: string;
} & { readonly version?: number; readonly hooks?: readonly string[] };

const secret = ({ id = 'core/devops', version, status = 'deployed', hooks = [], ...more }: Stored) => {
  const { manifest = '', deleted = '' } = more;
  const info = { last_deployed: '2026-01-02T03:04:05Z', deleted };
  return helmRecord(id, status, { manifest, hooks: hooks.map((manifest) => ({ manifest })), info }, version);
};

const cluster = (...items: readonly object[]) => ({
  $: answeringShell((command) => {
    assert.match(command, ' get secrets -A -l owner=helm,status!=superseded ');
    return { stdout: JSON.stringify({ items }) };
  }),
  environment: environmentIn('/project'),
});

const deployed = async (...stored: readonly Stored[]): Promise<readonly DeployedRelease[]> => [
  ...(await deployedReleases(cluster(...stored.map(secret)))).values(),
];

test('the newest revision of each release counts, compared as numbers', async () => {
  const releases = await deployed(
    { version: 9, status: 'deployed' },
    { version: 10, status: 'pending-upgrade' },
    { id: 'other/devops', version: 2, status: 'failed' },
    { id: 'core/gone', status: 'uninstalling', deleted: '2026-02-03T04:05:06Z' },
  );
  assert.equal(
    releases.map(({ namespace, revision, status, updated }) =>
      [namespace, revision, status, updated.toISOString().slice(0, 10)].join(' '),
    ),
    ['core 1 uninstalling 2026-02-03', 'other 2 failed 2026-01-02', 'core 10 pending-upgrade 2026-01-02'],
  );
});

test('a Secret that cannot be read is an error, or reported while the other releases are returned', async () => {
  const damaged = { ...secret({ id: 'core/vault', version: 4 }), data: { release: 'bm8=' } };
  const context = cluster(damaged, secret({}));
  const what = 'cannot read the Secret core/sh.helm.release.v1.vault.v4, in which helm keeps a release';
  const advice = /`kubectl -n core delete secret sh\.helm\.release\.v1\.vault\.v4`/;
  await fails(deployedReleases(context), { what, advice });
  const reported: string[] = [];
  const releases = await deployedReleases(context, ({ what }) => reported.push(what));
  assert.equal(reported, [what]);
  const found = [...releases].map(([id, { status, revision }]) => `${id} ${status} ${revision}`);
  assert.equal(found, ['core/devops deployed 1', 'core/vault deployed 4']);
});

const config = '# Source: devops/templates/a.yaml\nkind: ConfigMap\nmetadata:\n  name: a\n';
const role = '# Source: devops/templates/b.yaml\nkind: Role\nmetadata:\n  name: b\n';
const hook = 'kind: Job\nmetadata:\n  name: check\n';

test('a digest covers manifest and hooks, and ignores order, comments and blank lines', async () => {
  const [release] = await deployed({ manifest: `---\n${role}---\n${config}`, hooks: [hook] });
  assert.is(release?.digest, manifestDigest([`---\n${config}`, `---\n${hook}`, `---\n${role}`]));
  const moved = role.replaceAll('\n', '  \n');
  const second = manifestDigest([
    `---\n# moved\n${moved}\n\n---\n\n---\n${config}\n`,
    `# Source: x\n${hook}`,
  ]);
  assert.is(release?.digest, second);
});

test('a digest differs as soon as a value, an object or a hook does, and shows whether only the replicas differ', () => {
  const other = role.replace('name: b', 'name: c');
  const differing = [
    [config, role, hook],
    [config, other, hook],
    [config, hook],
    [config, role],
  ];
  assert.is(new Set(differing.map(manifestDigest)).size, 4);
  const scaled = (count: number, name = 'b') =>
    manifestDigest([`---\nkind: Deployment\nmetadata:\n  name: ${name}\nspec:\n  replicas: ${count}\n`]);
  assert.is.not(scaled(2), scaled(4));
  assert.ok(isSameExceptReplicas(scaled(2), scaled(4)));
  assert.not.ok(isSameExceptReplicas(scaled(2), scaled(4, 'c')));
});

test.run();
