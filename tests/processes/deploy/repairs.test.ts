import * as assert from 'uvu/assert';
import { rollBackRelease } from '../../../lib/deploy/deployed.ts';
import { install } from '../../../lib/deploy/install.ts';
import { failureOf } from '../../rig/task-context.ts';
import {
  cluster,
  deploySuite,
  emptyFolders,
  failing,
  helm,
  helmCalls,
  isSync,
  project,
  secrets,
} from './deploy-project.ts';

const test = deploySuite('repairs of releases');

test('a release that a killed run left pending is first rolled back to its last good revision', async ({
  context,
}) => {
  cluster('pending-upgrade', 1);
  helm([
    { revision: 1, status: 'superseded' },
    { revision: 2, status: 'deployed' },
    { revision: 3, status: 'pending-upgrade' },
  ]);
  await install(context, { app: 'devops' });
  assert.equal(helmCalls(), [
    'helm --namespace core history devops -o json',
    'helm --namespace core rollback devops 2 --wait --timeout 300s --force-conflicts --server-side=true',
  ]);
  assert.ok(project.calls().some((line) => line.startsWith('helmfile ') && isSync(line)));
});

for (const [title, revisions, good] of [
  [
    'a revision that failed and was replaced by a rollback that failed, too',
    [
      [1, 'superseded', 'Install complete'],
      [2, 'deployed', 'Upgrade complete'],
      [3, 'superseded', 'Upgrade "devops" failed: context deadline exceeded'],
      [4, 'failed', 'Rollback "devops" failed: a conflict'],
      [5, 'superseded', 'Release "devops" failed: a hook'],
      [6, 'superseded', 'Preparing upgrade'],
      [7, 'failed', 'Rollback "devops" failed: a conflict'],
    ],
    2,
  ],
  [
    'a killed upgrade',
    [
      [3, 'superseded', 'Install complete'],
      [4, 'deployed', 'Rollback to 3'],
      [5, 'pending-upgrade', 'Preparing upgrade'],
    ],
    4,
  ],
  [
    'a good upgrade',
    [
      [3, 'superseded', 'of our own, since the last one failed'],
      [4, 'deployed', 'Upgrade complete'],
    ],
    3,
  ],
] as const)
  test(`after ${title}, rollback takes the newest revision before it that was in service`, async ({
    context,
  }) => {
    const [last] = revisions.slice(-1);
    cluster(last?.[1] ?? '', 1000);
    helm(revisions.map(([revision, status, description]) => ({ revision, status, description })));
    await rollBackRelease(context, 'devops', undefined);
    assert.match(helmCalls().at(-1) ?? '', ` rollback devops ${good} --wait`);
  });

test('a release without such a revision is not rolled back', async ({ context }) => {
  cluster('deployed', 1000);
  helm([
    { revision: 1, status: 'superseded', description: 'Release "devops" failed: a hook' },
    { revision: 2, status: 'deployed', description: 'Upgrade complete' },
  ]);
  const error = await failureOf(rollBackRelease(context, 'devops', undefined));
  assert.is(error.what, 'devops has no earlier revision to roll back to');
});

test('a release that is not installed is not rolled back', async ({ context }) => {
  cluster('deployed', 1000);
  project.script('helm', 'echo "Error: release: not found" >&2; exit 1');
  const error = await failureOf(rollBackRelease(context, 'app1-back', undefined));
  assert.is(error.what, 'app1-back is not installed');
  assert.match(error.advice ?? '', 'install-app app1`');
});

test('a revision that does not exist is not rolled back to', async ({ context }) => {
  cluster('deployed', 1000);
  project.script('helm', 'echo "Error: release has no 99 version" >&2; exit 1');
  const error = await failureOf(rollBackRelease(context, 'devops', 99));
  assert.is(error.what, 'devops has no revision 99');
  assert.match(error.advice ?? '', /helm --namespace core history devops$/);
});

test('a pending release without a good revision is first removed', async ({ context }) => {
  cluster('pending-install', 1);
  helm([{ revision: 1, status: 'pending-install' }]);
  await install(context, { app: 'devops' });
  assert.is(helmCalls().at(-1), 'helm --namespace core uninstall devops --wait --timeout 300s');
});

test('an uninstall that was killed is finished before the release is installed again', async ({
  context,
}) => {
  cluster('uninstalling', 1);
  helm([
    { revision: 2, status: 'superseded' },
    { revision: 3, status: 'uninstalling' },
  ]);
  await install(context, { app: 'devops' });
  assert.equal(helmCalls(), ['helm --namespace core uninstall devops --wait --timeout 300s']);
  assert.ok(project.calls().some((line) => line.startsWith('helmfile ') && isSync(line)));
});

test('a release is repaired after all checks: a failed one, or a chart that cannot be rendered, changes nothing', async ({
  context,
}) => {
  for (const status of ['pending-install', 'uninstalling']) {
    cluster(status, 1);
    helm([{ revision: 1, status }]);
    project.script('sops', `echo '${JSON.stringify({ ...secrets, password: '' })}'`);
    const refused = await failureOf(install(context, { app: 'postgresql' }));
    assert.match(refused.what, /database.yaml cannot be a password$/);
    project.script('sops', `echo '${JSON.stringify(secrets)}'`);
    failing('--output-dir', 'devops', 'Error: execution error at (devops/templates/a.yaml:3:4): x');
    const unrendered = await failureOf(install(context, { app: 'devops' }));
    assert.is(unrendered.what, 'rendering devops failed');
    project.script('helmfile', emptyFolders);
  }
  assert.equal(helmCalls(), []);
});

test('on an existing cluster a pending release is only repaired after helm’s time limits', async () => {
  const context = await project.context('existing');
  cluster('pending-upgrade', 5);
  helm([]);
  const error = await failureOf(install(context, { app: 'devops' }));
  assert.match(error.what, /^release devops is pending-upgrade since [56] s$/);
  // helm may wait twice as long as the release's limit says.
  assert.match(error.advice ?? '', /600 s/);
  cluster('pending-upgrade', Number.NaN);
  const unknown = await failureOf(install(context, { app: 'devops' }));
  assert.is(unknown.what, 'release devops is pending-upgrade since an unknown time');
  assert.equal(helmCalls(), []);
  cluster('pending-upgrade', 601);
  helm([
    { revision: 2, status: 'deployed' },
    { revision: 3, status: 'pending-upgrade' },
  ]);
  await install(context, { app: 'devops' });
  assert.match(helmCalls().at(-1) ?? '', /^helm --namespace core rollback devops 2 --wait --timeout 300s/);
});

test.run();
