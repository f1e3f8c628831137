import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { notRunning } from '../../../lib/cluster/messages.ts';
import { adviseOn, taskCommand, taskLine } from '../../../lib/ground/launcher.ts';
import { root } from '../../../lib/ground/project.ts';
import { shellWord, shellWords } from '../../../lib/ground/shell-words.ts';
import { environmentOf, remember } from '../../../lib/settings/environment.ts';
import { resolveOptions } from '../../../lib/settings/provider-choice.ts';
import { copyOf } from '../../rig/project-copy.ts';

test('a shell reads back the same words; a path into the project begins with the folder that it is in', () => {
  const words = ['one', 'two words', "it's", '', '$HOME', '`id`', '*', 'a\nb', join(root, 'lib')];
  const script = `for word in ${shellWords(words)}; do printf '%s|' "$word"; done`;
  const read = execFileSync('sh', ['-c', script], { cwd: root, env: { PWD: root }, encoding: 'utf8' });
  assert.equal(read.split('|').slice(0, -1), words);
  assert.is(shellWord(`--config=${join(root, '.state/x')}`), '"--config=$PWD/.state/x"');
  assert.is(shellWord(`${root}2/x`), `${root}2/x`);
});

const project = copyOf('environments');
test.after.each(() => adviseOn('development'));

test('advice leads to the environment of the run, whose name is quoted; with ENVIRONMENT set, to the default one by name', () => {
  assert.is(taskLine('status'), 'npx tsx tasks.ts status');
  adviseOn('a b');
  assert.is(taskCommand('install-app app1'), "`npx tsx tasks.ts install-app app1 --env 'a b'`");
  process.env.ENVIRONMENT = 'staging';
  adviseOn('development');
  delete process.env.ENVIRONMENT;
  assert.is(taskLine('status'), 'npx tsx tasks.ts status --env development');
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

test('the provider and context are named until a record of the environment has them', async () => {
  const asked = { env: 'empty', provider: 'existing', context: 'team' } as const;
  mkdirSync(join(project.folder, 'environments/empty'));
  await resolveOptions(asked, [{ name: 'status' }], project.folder);
  const environment = environmentOf(asked, project.folder);
  const options = '--env empty --provider existing --context team';
  const advice = `create-environment ${options}\`, or \`npx tsx tasks.ts create-k8s ${options}\``;
  assert.match(notRunning(environment, 'absent').advice ?? '', advice);
  await remember(environment);
  assert.match(notRunning(environment, 'stopped').advice ?? '', 'start-k8s --env empty`');
});

test.run();
