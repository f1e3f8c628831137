import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { matching } from '../../choose/ask.ts';
import { ownTasks } from '../../own-tasks.ts';
import { didYouMean } from '../../suggest.ts';
import { checkDefinitions } from '../../task-names.ts';
import { temporaryFolder } from '../rig/folder.ts';
import { plain, text } from '../rig/graphs.ts';
import { refusalOf } from '../rig/refusal.ts';

const make = (name: string, ...aliases: string[]) => plain(name, { aliases });

for (const [tasks, why] of [
  [[make('build', 'x'), make('test', 'x')], /^`build` at \S+:\d+ and `test` at \S+:\d+$/],
  [[make('build', 'list')], /^`build` at \S+ and `list` at \S*own-tasks\.ts:\d+$/],
  [[make('build'), make('build')], /^`build` at (\S+) and `build` at \1$/],
] as const)
  test(`two tasks that share a name or an alias are both named: ${why}`, async () => {
    const error = await refusalOf((async () => checkDefinitions([...tasks, ...ownTasks], {}))());
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

test.run();
