import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { outputOf } from '../../rig/programs.ts';
import { copyProject, type ProjectCopy } from '../../rig/project-copy.ts';
import { dryRuns } from '../golden/transcripts.ts';

const test = suite<{ clone: ProjectCopy }>('a provider is a folder and a line');

test.before((state) => {
  state.clone = copyProject();
  const providers = join(state.clone.folder, 'lib/cluster');
  const text = readFileSync(join(root, 'tests/processes/cluster/paper/paper.ts'), 'utf8');
  mkdirSync(join(providers, 'paper'));
  writeFileSync(
    join(providers, 'paper/paper.ts'),
    text.replaceAll('../../../../lib/cluster/', '../').replaceAll('../../../../lib/', '../../'),
  );
  const list = readFileSync(join(providers, 'providers.ts'), 'utf8');
  writeFileSync(
    join(providers, 'providers.ts'),
    `import { paper } from './paper/paper.ts';\n${list.replace('providers = { ', 'providers = { paper, ')}`,
  );
});

test('every task can be printed for it', async ({ clone }) => {
  const [transcripts = new Map()] = await dryRuns(clone.folder, [['--provider', 'paper']]);
  const failed = [...transcripts].filter(([, { exitCode }]) => exitCode !== 0).map(([name]) => name);
  assert.equal(failed, []);
  const textOf = (task: string): string => transcripts.get(task)?.text ?? '';
  for (const task of ['create-k8s', 'create-environment']) {
    assert.match(textOf(task), /^echo stopped > paper-development-/m);
    assert.not.match(textOf(task), /minikube start|kwok|etcd/);
  }
  assert.match(textOf('install-app'), /--kube-context paper-development-/);
  assert.match(textOf('install-tools'), /k9s/);
});

test('it is detected where it fits, created, shown and destroyed', async ({ clone }) => {
  const place = { folder: clone.folder, env: { PATH: process.env.PATH, HOME: '/nonexistent' } };
  const run = (task: string) =>
    outputOf(place, process.execPath, ['--import', 'tsx', 'tasks.ts', task, '--yes']);
  await run('create-k8s');
  assert.match(await run('status'), /^environment {2}development \(paper\)\ncluster {6}stopped$/m);
  await run('destroy-k8s');
  assert.not.ok(existsSync(join(clone.folder, '.state/development/paper')));
});

test.run();
