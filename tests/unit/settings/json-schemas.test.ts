import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { toJsonSchema } from '@valibot/to-json-schema';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isMap, isScalar, type Node, type Pair, parseDocument, type Scalar } from 'yaml';
import { root } from '../../../lib/ground/project.ts';
import { isTree, type Tree } from '../../../lib/ground/tree.ts';
import { settingsSchema } from '../../../lib/settings/schema.ts';
import { stateSchema } from '../../../lib/vault/api/state-schema.ts';

/** Every property is optional in a layer of settings. */
const withoutRequired = (schema: Tree): Tree =>
  JSON.parse(JSON.stringify(schema), (key, value) =>
    key === 'required' && Array.isArray(value) ? undefined : value,
  );

/** JSON Schemas for editors, by their path in the project. */
const schemas: { readonly [path: string]: unknown } = {
  'environments/settings.schema.json': withoutRequired(
    documented(plain(settingsSchema), 'environments/common.yaml', { defaults: true }),
  ),
  'vault/state.schema.json': documented(plain(stateSchema), 'vault/state.yaml', { defaults: false }),
};

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

/**
 * Editors of YAML read draft 7 best. `check` and `transform` have no counterpart there; `any` is the type of a free
 * map.
 */
function plain(schema: Parameters<typeof toJsonSchema>[0]): Tree {
  const converted = toJsonSchema(schema, {
    typeMode: 'output',
    ignoreActions: ['check', 'transform'],
    overrideSchema: ({ valibotSchema }) => (valibotSchema.type === 'any' ? { type: 'object' } : undefined),
  });
  return JSON.parse(JSON.stringify(converted), (key, value) => {
    if (key === 'description' && typeof value === 'string')
      return `${value.replace(/^(?:an?|the)\b/, (word) => `${word[0]?.toUpperCase()}${word.slice(1)}`)}.`;
    // Editors show this instead of the pattern.
    return isTree(value) && typeof value.pattern === 'string'
      ? { ...value, patternErrorMessage: value.description }
      : value;
  });
}

type Entry = Pair<Scalar<string>, Node | null>;

/** The schema with the comments and values of the documenting file as descriptions and defaults. */
function documented(schema: Tree, path: string, { defaults }: { readonly defaults: boolean }): Tree {
  const text = readFileSync(join(root, path), 'utf8');
  const property = (found: unknown, entry: Entry | undefined, withDefaults: boolean): Tree => {
    const inner = walk(found as Tree, entry?.value, withDefaults);
    const description = [commentAbove(entry, text), inner.description].filter(Boolean).join(' ');
    return {
      ...inner,
      ...(description !== '' && { description }),
      ...(withDefaults && isScalar(entry?.value) && { default: entry.value.value }),
    };
  };
  const walk = (found: Tree, node: unknown, withDefaults: boolean): Tree => {
    const entries = isMap(node) ? (node.items as Entry[]) : [];
    const { properties, additionalProperties, anyOf, required } = found;
    return {
      ...found,
      ...(isTree(properties) && {
        properties: Object.fromEntries(
          Object.entries(properties).map(([key, value]) => [
            key,
            property(
              value,
              entries.find((entry) => entry.key.value === key),
              withDefaults,
            ),
          ]),
        ),
        // Properties with a default are optional.
        required: (required as string[]).filter((key) => !Object.hasOwn(properties[key] as Tree, 'default')),
      }),
      // The first entry documents all entries, but its values are not their defaults.
      ...(isTree(additionalProperties) && {
        additionalProperties: walk(additionalProperties, entries[0]?.value, false),
      }),
      ...(Array.isArray(anyOf) && { anyOf: anyOf.map((one) => walk(one, node, withDefaults)) }),
    };
  };
  return walk(schema, parseDocument(text, { merge: true }).contents, defaults);
}

/** The comment lines right above a key at the start of a line. */
function commentAbove(entry: Entry | undefined, text: string): string {
  const before = text.slice(0, entry?.key.range?.[0]).split('\n');
  if (entry === undefined || before.pop()?.trim() !== '') return '';
  const first = before.findLastIndex((line) => !/^\s*#/.test(line)) + 1;
  return before
    .slice(first)
    .map((line) => line.replace(/^\s*#\s?/, ''))
    .join(' ');
}

test.run();
