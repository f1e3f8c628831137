import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isLeftover, leftoverGlob, namesEnding } from '../../../lib/ground/leftover-files.ts';
import { compileGlobs } from '../../../lib/runner/memory/files.ts';
import { leftovers } from '../../rig/leftovers.ts';
import { fails } from '../../rig/task-context.ts';

const [watched] = compileGlobs([leftoverGlob], '/project').included;
const isIgnored = (name: string) => watched?.matches(`/project/charts/${name}`);

test('leftovers of editors, systems and merges are recognised by name, and bring no install', () => {
  for (const name of ['settings.yaml', 'policy.hcl', 'Dockerfile', 'server.mjs'])
    for (const left of leftovers(name)) assert.ok(isLeftover(left) && isIgnored(left), left);
  // A hidden file.
  assert.ok(isLeftover('.a.yaml') && isIgnored('.a.yaml'));
});

test('our files do not count as leftovers', () => {
  const ours = ['settings.yaml', 'values.yaml.gotmpl', '_helpers.tpl', 'a-b.yaml', '4913.yaml', 'c#.yaml'];
  assert.equal(
    ours.filter((name) => isLeftover(name) || isIgnored(name)),
    [],
  );
  assert.equal(['.dockerignore', '.helmignore', '.npmrc'].filter(isLeftover), []);
});

test('names of one ending, sorted', () => {
  const names = ['b.yaml', '.c.yaml', '.d.yml', 'a.yaml', 'a.yaml~', 'e.YML.bak', 'f.txt', 'yaml', 'yml'];
  assert.equal(namesEnding('environments/x', names, '.yaml'), ['a.yaml', 'b.yaml']);
});

test('a name that almost has the ending is refused, because the file would be ignored', async () => {
  for (const [name, ending, right] of [
    ['extra.yml', '.yaml', 'extra.yaml'],
    ['Extra.YAML', '.yaml', 'Extra.yaml'],
    ['extra.Yml', '.yaml', 'extra.yaml'],
    ['one.HCL', '.hcl', 'one.hcl'],
    ['team.public.ASC', '.public.asc', 'team.public.asc'],
  ] as const) {
    const refused = (async () => namesEnding('some/folder', ['a.yaml', name], ending))();
    const what = `some/folder/${name} would have no effect`;
    await fails(refused, { what, advice: `rename it to ${right}` });
  }
});

test.run();
