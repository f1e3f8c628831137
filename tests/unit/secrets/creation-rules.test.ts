import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { creationRules, ruleFor } from '../../../lib/secrets/creation-rules.ts';
import { failureOf } from '../../rig/task-context.ts';

const test = suite('creation rules');

const folder = mkdtempSync(join(tmpdir(), 'k8sd-'));
test.after(() => rmSync(folder, { recursive: true }));

const write = (text: string): void => writeFileSync(join(folder, '.sops.yaml'), text);

test('a rule has a pattern and fingerprints, as a text or a list, and the first match counts', async () => {
  write(
    'creation_rules:\n  - { path_regex: "a/[^/]+\\\\.yaml$", pgp: "AB CD, 0xEF" }\n  - { pgp: [AB, CD] }\n  -\n',
  );
  const rules = await creationRules(folder);
  assert.equal(rules, [
    { pattern: 'a/[^/]+\\.yaml$', recipients: ['ABCD', 'EF'] },
    { pattern: '', recipients: ['AB', 'CD'] },
    { pattern: '', recipients: [] },
  ]);
  assert.is(ruleFor(rules, 'a/x.yaml'), rules[0]);
  assert.is(ruleFor(rules, 'a/b/x.yaml'), rules[1]);
});

test('a pattern that sops would read differently is refused', async () => {
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
    assert.is((await failureOf(creationRules(folder))).what, `.sops.yaml has the \`path_regex\` ${pattern}`);
  }
});

test('missing rules, and fingerprints that YAML reads as numbers, are errors', async () => {
  for (const text of ['', 'a: 1', 'creation_rules: 5']) {
    write(text);
    assert.is((await failureOf(creationRules(folder))).what, '.sops.yaml cannot be read', text);
  }
  write('creation_rules:\n  - pgp: 0123456789012345678901234567890123456789\n');
  assert.match(
    (await failureOf(creationRules(folder))).what,
    '.sops.yaml:2: `0123456789012345678901234567890123456789`',
  );
  rmSync(join(folder, '.sops.yaml'));
  assert.match((await failureOf(creationRules(folder))).why, 'ENOENT');
});

test.run();
