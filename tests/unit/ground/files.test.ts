import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError, UsageError } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isLeftover, leftoverGlob, namesEnding } from '../../../lib/ground/file-names.ts';
import { checkLineEnds, checkWritable, filesBelow } from '../../../lib/ground/files.ts';
import { entriesBelow, ifThere, textIfThere } from '../../../lib/ground/if-there.ts';
import { compileGlobs } from '../../../lib/runner/memory/files.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { leftovers } from '../../rig/project-copy.ts';
import { fails } from '../../rig/task-context.ts';

const folder = temporaryFolder();
const at = (path: string) => join(folder, path);

test('only what does not exist is absent: not what cannot be read, nor what vanishes below it', async () => {
  writeFileSync(at('file'), 'text');
  assert.is(await textIfThere(at('file')), 'text');
  assert.is(await textIfThere(at('gone')), undefined);
  assert.is(await entriesBelow(at('gone')), undefined);
  for (const read of [() => readFile(folder), () => readdir(at('file'))])
    assert.instance(await fails(ifThere<unknown>(read()), { what: /^cannot read / }), TaskError);
  // As for a folder that is removed while its parent is listed.
  await fails(ifThere(readdir(at('gone')), folder), { what: `cannot read ${at('gone')}`, why: /ENOENT/ });
});

test('files behind links count, because programs read them; circular and broken links do not', async () => {
  for (const path of ['mine/deep', 'shared/chart']) mkdirSync(at(path), { recursive: true });
  for (const path of ['mine/a.yaml', 'mine/a.yaml~', 'mine/deep/b.yaml', 'shared/chart/c.yaml'])
    writeFileSync(at(path), '');
  for (const [path, target] of Object.entries({
    ...{ 'mine/file.yaml': '../shared/chart/c.yaml', 'mine/folder': '../shared/chart', 'mine/deep/up': '..' },
    ...{ 'mine/gone': 'nowhere', 'mine/loop': 'loop', 'shared/chart/back': '../../mine' },
  }))
    symlinkSync(target, at(path));
  const found = ['a.yaml', 'deep/b.yaml', 'file.yaml', 'folder/c.yaml'].map((path) => `mine/${path}`);
  assert.equal(await filesBelow(folder, 'mine'), found);
  assert.equal(await filesBelow(folder, 'nowhere'), []);
});

const [watched] = compileGlobs([leftoverGlob], '/project').included;
const isIgnored = (name: string) => watched?.matches(`/project/charts/${name}`) === true;

test('leftovers of editors, systems and merges are recognised by name, and bring no install; our files do not count', () => {
  const left = ['settings.yaml', 'policy.hcl', 'Dockerfile', 'server.mjs'].flatMap(leftovers);
  for (const name of [...left, '.a.yaml'])
    assert.equal([isLeftover(name), isIgnored(name)], [true, true], name);
  for (const name of 'settings.yaml values.yaml.gotmpl _helpers.tpl a-b.yaml 4913.yaml c#.yaml'.split(' '))
    assert.equal([isLeftover(name), isIgnored(name)], [false, false], name);
  assert.equal(['.dockerignore', '.helmignore', '.npmrc'].filter(isLeftover), []);
});

test('names of one ending are sorted; one that almost has it is refused, because the file would be ignored', async () => {
  const names = ['b.yaml', '.c.yaml', '.d.yml', 'a.yaml', 'a.yaml~', 'e.YML.bak', 'f.txt', 'yaml', 'yml'];
  assert.equal(namesEnding('environments/x', names, '.yaml'), ['a.yaml', 'b.yaml']);
  for (const [name, ending, right] of [
    ['Extra.YAML', '.yaml', 'Extra.yaml'],
    ['extra.Yml', '.yaml', 'extra.yaml'],
    ['one.HCL', '.hcl', 'one.hcl'],
    ['team.public.ASC', '.public.asc', 'team.public.asc'],
  ] as const)
    await fails(() => namesEnding('some/folder', ['a.yaml', name], ending), {
      what: `some/folder/${name} would have no effect`,
      advice: `rename it to ${right}`,
    });
});

test('Windows line ends are reported with the first file and the number of others', async () => {
  const check = (...texts: readonly (string | Buffer)[]) =>
    checkLineEnds(texts.map((text, index) => ({ path: `charts/${index}`, text })));
  check('', 'one\ntwo\n', Buffer.from('a\rb'), 'last\r');
  const what = 'charts/1 and 1 more with Windows line ends';
  await fails(() => check('fine\n', 'one\r\ntwo\n', Buffer.from('\r\n')), { what, advice: /perl -pi/ });
  await fails(() => check('one\r\n'), { what: 'charts/0 with Windows line ends' });
});

test('a file, and a folder that cannot be written to, are refused as output; nothing is created', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'file');
  writeFileSync(file, '');
  for (const path of [folder, join(folder, 'new'), join(folder, 'new/below')]) await checkWritable(path);
  const refused = async (path: string, why: string | RegExp) =>
    assert.instance(await fails(checkWritable(path), { why }), UsageError);
  for (const path of [file, join(file, 'below')]) await refused(path, `${file} is a file`);
  assert.equal(readdirSync(folder), ['file']);
  // A folder in which not even root creates anything.
  if (existsSync('/proc')) await refused('/proc/new', /^\/proc is not writable \(E/);
});

test.run();
