import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Row, readmeOf, rowsOf } from './readme.ts';
import { chartNames } from './render.ts';
import { readSchema } from './schema-leaves.ts';
import { root } from './tools.ts';

/* `UPDATE_README=1 node --import tsx tests/charts/readme.test.ts` writes the READMEs instead of comparing them. */

const test = suite('chart READMEs');

for (const chart of chartNames) {
  test(`${chart}: every value has a comment`, async () => {
    const text = await readFile(join(root, 'charts', chart, 'values.yaml'), 'utf8');
    const rows = rowsOf(text, await readSchema(chart));
    assert.ok(rows.length > 10);
    const isBare = ({ path, meaning }: Row) => meaning === '' && !known.test(path);
    const isUnknown = ({ standard, allowed }: Row) => standard !== undefined && allowed === '';
    const bad = rows.filter((row) => isBare(row) || isUnknown(row)).map(({ path }) => path);
    assert.equal(bad, []);
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

test.run();
