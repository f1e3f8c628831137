import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { creationRules, ruleFor } from '../../../lib/secrets/recipients.ts';
import { fails } from '../../rig/task-context.ts';

const test = suite('creation rules');

const folder = temporaryFolder();

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
  for (const pattern of '(?i)x x(?=y) (?P<a>x) \\Ax\\z [[:alpha:]] \\pL (a)\\1 ( *'.split(' ')) {
    write(JSON.stringify({ creation_rules: [{ path_regex: pattern, pgp: 'AB' }] }));
    await fails(creationRules(folder), { what: `.sops.yaml has the \`path_regex\` ${pattern}` });
  }
});

test('missing rules, and fingerprints that YAML reads as numbers, are errors', async () => {
  for (const text of ['', 'a: 1', 'creation_rules: 5']) {
    write(text);
    await fails(creationRules(folder), { what: '.sops.yaml cannot be read' });
  }
  const number = '0123456789012345678901234567890123456789';
  write(`creation_rules:\n  - pgp: ${number}\n`);
  await fails(creationRules(folder), { what: new RegExp(`\\.sops\\.yaml:2: \`${number}\``) });
  rmSync(join(folder, '.sops.yaml'));
  await fails(creationRules(folder), { why: /ENOENT/ });
});

test.run();
