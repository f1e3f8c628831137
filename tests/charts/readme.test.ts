import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readmeOf, rowsOf } from './readme.ts';
import { chartNames } from './render.ts';
import { readSchema, type Schema } from './schema-leaves.ts';
import { root } from './tools.ts';

/* `UPDATE_README=1 node --import tsx tests/charts/readme.test.ts` writes the READMEs instead of comparing them. */

const test = suite('chart READMEs');

for (const chart of chartNames) {
  test(`${chart}: every value has a comment`, async () => {
    const text = await readFile(join(root, 'charts', chart, 'values.yaml'), 'utf8');
    const rows = rowsOf(text, await readSchema(chart));
    assert.ok(rows.length > 10);
    const bare = rows.filter(({ path, meaning }) => meaning === '' && !known.test(path));
    assert.equal(
      bare.map(({ path }) => path),
      [],
    );
    const unknown = rows.filter(({ standard, allowed }) => standard !== undefined && allowed === '');
    assert.equal(
      unknown.map(({ path }) => path),
      [],
    );
  });

  test(`${chart}: the README matches the values`, async () => {
    const file = join(root, 'charts', chart, 'README.md');
    const wanted = await readmeOf(chart);
    if (process.env.UPDATE_README === '1') await writeFile(file, wanted);
    assert.is(await readFile(file, 'utf8').catch(() => ''), wanted, `write it with UPDATE_README=1`);
  });
}

/** Explained once, at the first namespace and the first team. */
const known = /^(namespaces|teams|outside)\.[-\w]+\.|\.(requests|limits)$/;

test('the comment above a value is its meaning, and required values have a row', () => {
  const schema: Schema = {
    properties: {
      size: { type: 'integer', minimum: 1, maximum: 9 },
      door: { properties: { key: { type: 'string' }, open: { type: 'boolean' } } },
    },
  };
  const text = [
    '# How large,',
    '# in metres.',
    'size: 3',
    '',
    '# The door.',
    'door:',
    '  # key (required): who may | enter.',
    '  #',
    '  # Open or not.',
    '  open: true',
  ];
  assert.equal(rowsOf(text.join('\n'), schema), [
    { path: 'size', allowed: '1 to 9', meaning: 'How large, in metres.', standard: '`3`' },
    { path: 'door', allowed: '', meaning: 'The door.' },
    { path: 'door.key', standard: 'required', allowed: 'text', meaning: 'who may | enter.' },
    { path: 'door.open', allowed: '`true`, `false`', meaning: 'Open or not.', standard: '`true`' },
  ]);
});

test.run();
