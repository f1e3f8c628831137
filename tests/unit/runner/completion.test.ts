import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeKeys } from '../../../lib/runner/choose/keys.ts';
import { matching } from '../../../lib/runner/choose/match.ts';
import { wordList } from '../../../lib/runner/completion/word-list.ts';
import { memoryFolder, stampedPath, stampOf } from '../../../lib/runner/quick-answer.ts';
import { task } from '../../../lib/runner/task.ts';

const commands = () => [];

test('the word list has tasks, aliases, options, places and words; private tasks are left out', async () => {
  const deploy = task({
    name: 'deploy',
    description: 'deploys\tone\napplication',
    aliases: ['d'],
    args: {
      app: {
        type: 'choice',
        positional: true,
        choices: async () => ['app1', 'app2'],
        description: 'the app',
      },
      files: { type: 'string', positional: true, variadic: true, optional: true, description: 'files' },
      dryRun: { type: 'boolean', short: 'n', description: 'only shown' },
      other: { type: 'list', choices: ['app1', 'app2'], default: [], description: 'more' },
      tier: { type: 'choice', choices: (options) => [String(options.env)], description: 'a tier' },
      broken: { type: 'choice', choices: () => Promise.reject(new Error('no file')), description: 'b' },
    },
    commands,
  });
  const hidden = task({ name: 'hidden', description: 'd', private: true, commands });
  const lines = await wordList([deploy, hidden], {
    env: { type: 'string', short: 'e', suggestions: ['dev', 'two words'], description: 'where' },
    wait: { type: 'boolean', default: true, description: 'not to wait' },
  });
  assert.equal(
    lines.map((line) => line.split('\t')),
    [
      ['word', '1', 'dev'],
      ['option', '', '--env', '-e', 'value', '1', 'env', 'where'],
      ['option', '', '--no-wait', '', 'flag', 'none', 'wait', 'not to wait'],
      ['task', 'deploy', 'deploy', 'deploys one application', '0'],
      ['task', 'd', 'deploy', 'deploys one application (deploy)', '0'],
      ['word', '2', 'app1'],
      ['word', '2', 'app2'],
      ['place', 'deploy', '0', '2', 'app'],
      ['place', 'deploy', '1', 'files', 'files'],
      ['option', 'deploy', '--dry-run', '-n', 'flag', 'none', 'dryRun', 'only shown'],
      ['option', 'deploy', '--other', '', 'list', '2', 'other', 'more'],
      ['option', 'deploy', '--tier', '', 'value', 'ask', 'tier', 'a tier'],
      ['option', 'deploy', '--broken', '', 'value', 'files', 'broken', 'b'],
    ],
  );
});

test('a stamp is what stat prints, and knows its path', async () => {
  const path = process.execPath;
  const { stdout } = await promisify(execFile)('stat', ['-c', '%s %.9Y %.9Z %n', '--', path]);
  assert.is(stampOf(path), stdout.trimEnd());
  for (const file of [path, '/not/there', '/not there/1 2.3 4.5 x'])
    assert.is(stampedPath(stampOf(file)), file);
});

test('the memory of a program lies in the cache of the user, where its name is not too long', () => {
  const { XDG_CACHE_HOME: before } = process.env;
  process.env.XDG_CACHE_HOME = '/caches';
  assert.is(memoryFolder('/home/me/tasks.ts'), '/caches/task-runner/%home%me%tasks.ts');
  assert.is(memoryFolder(`/${'deep/'.repeat(60)}tasks.ts`), undefined);
  process.env.XDG_CACHE_HOME = 'relative';
  assert.is(memoryFolder('/tasks.ts'), `${process.env.HOME}/.cache/task-runner/%tasks.ts`);
  if (before === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = before;
});

test('keys are told apart, also in one piece, and the beginning of one is kept', () => {
  const names = (input: string): string[] =>
    decodeKeys(input).keys.map((key) => (key.name === 'text' ? key.text : key.name));
  assert.equal(names('aé😀\u001B[A\u001BOB\r'), ['a', 'é', '😀', 'up', 'down', 'enter']);
  assert.equal(names('\u007F\u0017\u0015\u0003\u0004'), [
    'erase',
    'erase-word',
    'erase-all',
    'leave',
    'leave',
  ]);
  assert.equal(names('\u001B[5~\u001B[6~\u001B[H\u001B[4~'), ['page-up', 'page-down', 'home', 'end']);
  assert.equal(names('x\u001B[1;5Cy\u001B[15~\u0001z'), ['x', 'y', 'z'], 'what is not known is dropped');
  assert.equal(names('\u001B\u001B'), ['leave']);
  for (const part of ['\u001B', '\u001B[', '\u001B[5', '\u001BO'])
    assert.equal(decodeKeys(`a${part}`), { keys: [{ name: 'text', text: 'a' }], rest: part });
});

test('of the items that fit, those go first whose name begins so', () => {
  const items = [
    { word: 'uninstall-app', text: 'removes' },
    { word: 'install-all', text: 'everything' },
    { word: 'init-all', text: 'prepares' },
    { word: 'diff', text: 'what install would do' },
  ];
  const found = (filter: string): string[] => matching(items, filter).map(({ word }) => word);
  assert.equal(found(''), ['uninstall-app', 'install-all', 'init-all', 'diff']);
  assert.equal(found('Install'), ['install-all', 'uninstall-app', 'diff']);
  assert.equal(found('inall'), ['uninstall-app', 'install-all', 'init-all']);
  assert.equal(found('ins removes'), ['uninstall-app']);
  assert.equal(found('zebra'), []);
});

test.run();
