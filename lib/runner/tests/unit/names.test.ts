import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { didYouMean } from '../../arguments.ts';
import { matching } from '../../choose.ts';
import { candidates } from '../../completion/completion.ts';
import { graphTask, ownTasks } from '../../own-tasks.ts';
import { checkDefinitions } from '../../task-names.ts';
import { temporaryFolder } from '../rig/folder.ts';
import { flag, number, plain, text, word } from '../rig/graphs.ts';
import { refusalOf } from '../rig/refusal.ts';

const make = (name: string, ...aliases: string[]) => plain(name, { aliases });

for (const [tasks, why] of [
  [[make('build', 'x'), make('test', 'x')], /^`build` at \S+:\d+ and `test` at \S+:\d+$/],
  [[make('build', 'list')], /^`build` at \S+ and `list` at \S*own-tasks\.ts:\d+$/],
  [[make('build'), make('build')], /^`build` at (\S+) and `build` at \1$/],
] as const)
  test(`two tasks that share a name or an alias are both named: ${why}`, async () => {
    const error = await refusalOf(() => checkDefinitions([...tasks, ...ownTasks], {}));
    assert.match(error.what, /^two tasks are called `(?:x|list|build)`$/);
    assert.match(error.why, why);
    assert.is(error.advice, 'give one of them another name or alias, and call `task()` once for each');
  });

test('a task hides a global option only if it says so', () => {
  const draw = (hidesGlobal: boolean) => plain('draw', { args: { output: { ...text, hidesGlobal } } });
  const output = text;
  assert.throws(() => checkDefinitions([draw(false)], { output }), /`output` of task `draw` hides a global/);
  checkDefinitions([draw(true), make('build', 'b')], { output });
});

test('finds the place of a call in a folder with any name', async () => {
  const base = temporaryFolder();
  for (const name of ['plain', 'a clone (copy), #1', 'a:1:2', ')(']) {
    const file = join(base, name, 'tasks.mjs');
    mkdirSync(join(base, name));
    const text = `import { CallSite } from '${new URL('../../call-site.ts', import.meta.url)}';
const make = () => new CallSite(make);
export const direct = make();
export const [within] = [0].map(function inner() { return make(); });`;
    writeFileSync(file, text);
    const { direct, within } = await import(pathToFileURL(file).href);
    assert.equal([direct.file, direct.line, within.file, within.line], [file, 3, file, 4]);
  }
});

test('finds a few wrong letters, the beginning of a single name, and does not guess', () => {
  const names = ['create-k8s', 'destroy-k8s', 'install-app', 'install-all', 'status'];
  const found: { readonly [word: string]: string | undefined } = {
    ...{ statsu: 'status', 'creat-k8s': 'create-k8s', statuus: 'status', Status: 'status' },
    ...{ destr: 'destroy-k8s', install: undefined, zebra: undefined, '': undefined },
  };
  for (const [word, name] of Object.entries(found))
    assert.is(didYouMean(word, names, 'no'), name === undefined ? 'no' : `Did you mean \`${name}\`?`);
  assert.is(didYouMean('x', [], 'no'), 'no');
});

test('of the items that fit, those go first whose name begins so', () => {
  const texts = { 'uninstall-app': 'removes', 'install-all': 'all', diff: 'of an install' };
  const items = Object.entries(texts).map(([word, text]) => ({ word, text }));
  const found = (filter: string): string[] => matching(items, filter).map(({ word }) => word);
  assert.equal(found(''), Object.keys(texts));
  assert.equal(found('Install'), ['install-all', 'uninstall-app', 'diff']);
  assert.equal(found('ins removes'), ['uninstall-app']);
  assert.equal(found('zebra'), []);
});

const deploy = plain('deploy', {
  description: 'deploys\tone\napplication',
  aliases: ['d'],
  args: {
    app: { type: 'choice', positional: true, choices: async () => ['app1', 'two words'], description: 'a' },
    sure: { type: 'choice', positional: true, choices: ['yes', 'no'], optional: true, description: 's' },
    files: { ...word, variadic: true, optional: true },
    dryRun: { ...flag, short: 'n' },
    other: { type: 'choice', choices: ['red', 'green'], optional: true, description: 'more' },
    tier: { type: 'choice', choices: ({ env }) => [`core-${env}`], optional: true, description: 't' },
    broken: { type: 'choice', choices: () => Promise.reject(new Error('no file')), description: 'b' },
  },
});
const pass = plain('pass', { description: 'p', passThrough: true });
const hidden = plain('hidden', { private: true });

/** The words, or the one word that stands for others; options without their descriptions. */
async function at(line: string): Promise<string[]> {
  const specs = {
    env: { ...text, short: 'e', default: 'dev', suggestions: ['dev', 'prod'] },
    wait: { ...flag, default: true },
    jobs: { ...number, short: 'j', default: 4 },
  } as const;
  const tasks = [deploy, pass, hidden, graphTask];
  const found = await candidates(line.split(' '), { tasks, specs, program: 'x', config: {} });
  const lines = found.trimEnd().split('\n');
  return lines[0] === 'words' ? lines.slice(1).map((line) => line.replace(/\t$|(?<=^-.*)\t.*/, '')) : lines;
}

// In one line, without private ones.
const all = [
  ...['deploy\tdeploys one application', 'd\tdeploys one application (deploy)'],
  ...['pass\tp', 'graph\tdraw what a task needs'],
];

for (const [line, ...offered] of [
  ['', ...all],
  // A word with a space cannot be offered.
  ['deploy ', 'app1'],
  ['-e prod d -n ', 'app1'],
  ['deploy app1 ', 'yes', 'no'],
  ['deploy app1 yes x ', 'files'],
  // After -- only words: those by place, or files for a task that passes them on.
  ['deploy -- ', 'app1'],
  ['deploy -- app1 --', 'yes', 'no'],
  ['-- dep', ...all],
  ['pass -- -', 'files'],
  ['pass -- x --env=', 'files'],
  ['--env -- ', 'none'],
  ['deploy app1 , pa', ...all],
  ['pass , deploy ', 'app1'],
  ['pass , , ', 'none'],
  ['graph de', ...all],
  ['-e prod graph --format dot d ', 'app1'],
  ['graph pass , deploy --format ', 'mermaid', 'dot', 'json'],
  ['-e ', 'dev', 'prod'],
  ['--env=p', '--env=dev', '--env=prod'],
  ['deploy -ne p', 'dev', 'prod'],
  ['-j ', 'none'],
  ['deploy --other=r', '--other=red', '--other=green'],
  ['--env=prod deploy --tier ', 'core-prod'],
  // Choices that cannot be read.
  ['deploy --broken ', 'files'],
  ['--wait=', '--wait=true', '--wait=false'],
  ['--no-wait=', 'none'],
  // Those that are left, in the form in which they say something.
  ['--', '--env', '--no-wait', '--jobs'],
  ['-', '--env', '-e', '--no-wait', '--jobs', '-j'],
  ['-e x deploy --other red --', '--no-wait', '--jobs', '--dry-run', '--tier', '--broken'],
  ...['nonsense ', 'hidden ', '--nonsense ', '--nonsense='].map((line) => [line, 'none']),
])
  test(`offered after: ${line}`, async () => assert.equal(await at(line ?? ''), offered));

test.run();
