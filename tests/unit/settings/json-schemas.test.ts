import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { isTree } from '../../../lib/ground/tree.ts';
import { jsonSchemas } from '../../rig/json-schemas.ts';

const schemas = jsonSchemas();

test('the JSON Schemas for editors match the schemas and comments', () => {
  for (const [path, schema] of Object.entries(schemas)) {
    const text = `${JSON.stringify(schema, null, 2)}\n`;
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(join(root, path), text);
    assert.is(readFileSync(join(root, path), 'utf8'), text, `${path}: run \`npm run schemas\``);
  }
});

test('each file of settings, and the state of Vault, names its schema in the first line', () => {
  const files = ['environments', 'vault'].flatMap((folder) =>
    (readdirSync(join(root, folder), { recursive: true }) as string[])
      .filter((path) => path.endsWith('.yaml') && !path.includes('secrets/'))
      .map((path) => join(folder, path)),
  );
  assert.ok(files.length >= 8);
  for (const file of files) {
    const [first = ''] = readFileSync(join(root, file), 'utf8').split('\n');
    const [, schema = ''] = /^# yaml-language-server: \$schema=(\S+)$/.exec(first) ?? [];
    assert.ok(Object.hasOwn(schemas, join(dirname(file), schema)), `${file}: ${first}`);
  }
});

test('editors can read every pattern: they compile them with the flag u', () => {
  const patterns: string[] = [];
  const walk = (found: unknown): void => {
    if (isTree(found) && typeof found.pattern === 'string') patterns.push(found.pattern);
    if (typeof found === 'object' && found !== null) Object.values(found).forEach(walk);
  };
  walk(schemas);
  assert.ok(patterns.length > 30);
  for (const pattern of patterns) new RegExp(pattern, 'u');
});

test.run();
