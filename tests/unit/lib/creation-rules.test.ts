import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { copyProject, type ProjectCopy } from '../../rig/project-copy.ts';
import { failureOf } from '../../rig/task-context.ts';

type Lib = typeof import('../../../lib/secrets/creation-rules.ts');
type State = { clone: ProjectCopy; lib: Lib; write: (text: string) => void };

const test = suite<State>('creation rules');

test.before(async (state) => {
  state.clone = copyProject();
  state.lib = await import(join(state.clone.folder, 'lib/secrets/creation-rules.ts'));
  state.write = (text) => writeFileSync(join(state.clone.folder, '.sops.yaml'), text);
});
test.after(({ clone }) => clone.remove());

test('a rule has a pattern and fingerprints, in one text or a list, and the first that matches counts', async ({
  lib,
  write,
}) => {
  write(
    'creation_rules:\n  - { path_regex: "a/[^/]+\\\\.yaml$", pgp: "AB CD, 0xEF" }\n  - { pgp: [AB, CD] }\n',
  );
  const rules = await lib.creationRules();
  assert.equal(rules, [
    { pattern: 'a/[^/]+\\.yaml$', recipients: ['ABCD', 'EF'] },
    { pattern: '', recipients: ['AB', 'CD'] },
  ]);
  assert.is(lib.ruleFor(rules, 'a/x.yaml'), rules[0]);
  assert.is(lib.ruleFor(rules, 'a/b/x.yaml'), rules[1]);
});

test('a pattern that sops would read differently is refused', async ({ lib, write }) => {
  for (const pattern of [
    '(?i)x',
    'x(?=y)',
    '(?P<a>x)',
    '\\Ax\\z',
    '[[:alpha:]]',
    '\\pL',
    '(a)\\1',
    '(',
    '*',
  ]) {
    write(JSON.stringify({ creation_rules: [{ path_regex: pattern, pgp: 'AB' }] }));
    assert.is((await failureOf(lib.creationRules())).what, `.sops.yaml has the \`path_regex\` ${pattern}`);
  }
});

test('invalid rules, and fingerprints that YAML reads as numbers, are reported', async ({
  clone,
  lib,
  write,
}) => {
  for (const text of ['', 'a: 1', 'creation_rules: 5']) {
    write(text);
    assert.is((await failureOf(lib.creationRules())).what, '.sops.yaml cannot be read', text);
  }
  write('creation_rules:\n  - pgp: 0123456789012345678901234567890123456789\n');
  assert.match(
    (await failureOf(lib.creationRules())).what,
    '.sops.yaml:2: `0123456789012345678901234567890123456789`',
  );
  rmSync(join(clone.folder, '.sops.yaml'));
  assert.match((await failureOf(lib.creationRules())).why ?? '', 'ENOENT');
});

test.run();
