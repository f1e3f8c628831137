import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { notRunning } from '../../../lib/cluster/not-running.ts';
import { adviseOn, taskCommand, taskLine } from '../../../lib/ground/launcher.ts';
import { root } from '../../../lib/ground/project.ts';
import { environmentOf, remember } from '../../../lib/settings/environment.ts';
import { resolveOptions } from '../../../lib/settings/provider-choice.ts';
import { copyOf } from '../../rig/project-copy.ts';

const project = copyOf('environments');
test.after.each(() => adviseOn('development'));

const status = { name: 'status' };

test('advice leads to the environment of the run, whose name is quoted', async () => {
  assert.is(taskLine('status'), 'npx tsx tasks.ts status');
  adviseOn('a b');
  assert.is(taskCommand('install-app app1'), "`npx tsx tasks.ts install-app app1 --env 'a b'`");
});

test('no advice is written without the options of the environment', () => {
  const files = ['lib', 'tasks'].flatMap((folder) =>
    (readdirSync(join(root, folder), { recursive: true }) as string[]).map((path) => `${folder}/${path}`),
  );
  for (const path of files) {
    if (!path.endsWith('.ts') || /^lib\/(?:runner|ground\/launcher)/.test(path)) continue;
    const text = readFileSync(join(root, path), 'utf8');
    assert.not.match(text, /\$\{launcher\}|\\`\.\/run |taskCommand\(`[^`]* --env/, path);
  }
});

test('with ENVIRONMENT set, the default environment is named, too', () => {
  process.env.ENVIRONMENT = 'staging';
  adviseOn('development');
  delete process.env.ENVIRONMENT;
  assert.is(taskLine('status'), 'npx tsx tasks.ts status --env development');
});

test('the provider and context are named until a record of the environment has them', async () => {
  const asked = { env: 'empty', provider: 'existing', context: 'team' } as const;
  mkdirSync(join(project.folder, 'environments/empty'));
  await resolveOptions(asked, [status], project.folder);
  const environment = environmentOf(asked, project.folder);
  const { advice } = notRunning(environment, 'absent');
  const options = '--env empty --provider existing --context team';
  assert.match(
    advice ?? '',
    `create-environment ${options}\`, or \`npx tsx tasks.ts create-k8s ${options}\``,
  );
  await remember(environment);
  assert.match(notRunning(environment, 'stopped').advice ?? '', 'start-k8s --env empty`');
});

test.run();
