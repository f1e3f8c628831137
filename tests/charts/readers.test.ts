import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Random, randomOf, withSeeds } from '../../lib/runner/tests/rig/random-graph.ts';
import { copyProject, type ProjectCopy } from '../rig/project-copy.ts';
import { helmfileArguments, objectsOf, only, render } from './render.ts';
import { cleanUp, succeed, withKeyring } from './tools.ts';

/*
 * The tasks and helmfile read the same settings. Random scalars, as people write them: each is refused, or comes
 * out of helmfile and helm as it was written.
 */

type State = { clone: ProjectCopy; lib: typeof import('../../lib/settings/settings.ts') };

const test = suite<State>('readers');

test.before(async (state) => {
  state.clone = copyProject();
  state.lib = await import(join(state.clone.folder, 'lib/settings/settings.ts'));
});
test.after(async ({ clone }) => {
  clone.remove();
  await cleanUp();
});

const parts = [
  ...[
    '0',
    '1',
    '9',
    '07',
    'a',
    'e',
    'x',
    'o',
    'b',
    'n',
    'y',
    'T',
    '_',
    '-',
    '+',
    '.',
    ':',
    '/',
    '~',
    '=',
    '<',
  ],
  ...[
    ' ',
    ': ',
    ' #',
    '"',
    "'",
    '\\',
    '{',
    '}',
    '[',
    ']',
    ',',
    '&',
    '*',
    '!',
    '|',
    '>',
    '%',
    '@',
    '`',
    '?',
    '$',
  ],
  ...[
    'inf',
    'nan',
    'true',
    'null',
    'yes',
    'Off',
    '0x',
    '0o',
    '2001-01-01',
    '12:30',
    'é',
    '😀',
    '\u00a0',
    '\t',
    '\n',
  ],
];

const pick = <Item>(items: readonly Item[], random: Random): Item =>
  items[Math.floor(random() * items.length)] as Item;

const forms: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => text,
  (text) => text,
  (text) => JSON.stringify(text),
  (text) => `'${text.replaceAll("'", "''")}'`,
  (text) => `|\n        ${text.replaceAll('\n', '\n        ')}`,
  (text) => `|+\n        ${text.replaceAll('\n', '\n        ')}\n\n`,
  (text) => `>-\n        ${text.replaceAll('\n', '\n        ')}`,
];

const file = 'environments/development/zz.yaml';

test('a text setting is either refused or reaches helm unchanged', async ({ clone, lib }) => {
  await withSeeds(2, async (seed) => {
    const random = randomOf(seed * 6271);
    const taken: { readonly scalar: string; readonly text: string }[] = [];
    let refused = 0;
    for (let index = 0; index < 250; index += 1) {
      const text = Array.from({ length: 1 + Math.floor(random() * 5) }, () => pick(parts, random)).join('');
      const scalar = pick(forms, random)(text);
      writeFileSync(join(clone.folder, file), `buildArguments:\n  X: ${scalar}\n`);
      const settings = await lib.loadSettings('development', 'embedded').catch(() => undefined);
      const read = settings?.buildArguments.X;
      if (read === undefined) refused += 1;
      // The chart refuses an empty password.
      else if (read !== '') taken.push({ scalar, text: read });
      // The unquoted text is what is read.
      if (read !== undefined && scalar === text && /^[\w.+/~-]+$/.test(text)) assert.is(read, text);
    }
    assert.ok(taken.length > 80 && refused > 20, `${taken.length} taken, ${refused} refused`);
    const secrets = taken.map(({ scalar }, index) =>
      [
        `     s${index}:`,
        '       namespace: backend',
        '       host: elsewhere',
        '       port: 1',
        '       name: app',
        '       user: app',
        `       password: ${scalar}`,
      ].join('\n'),
    );
    writeFileSync(
      join(clone.folder, file),
      ['releases:', '  devops:', '    databaseSecrets:', ...secrets, ''].join('\n'),
    );
    await lib.loadSettings('development', 'embedded');
    const args = [
      ...(await helmfileArguments('embedded', 'development')),
      ...['--state-values-file', file, '--selector', 'name=devops', 'template'],
    ];
    const { stdout } = await withKeyring((environment) =>
      succeed('helmfile', args, { environment, folder: clone.folder }),
    );
    const objects = objectsOf(stdout);
    for (const [index, { text, scalar }] of taken.entries())
      assert.is(only(objects, 'Secret', `s${index}`).stringData.DB_PASSWORD, text, JSON.stringify(scalar));
  });
});

test('large PostgreSQL parameters are written in digits, without an exponent', async () => {
  const settings = { work_mem: 1_048_576, shared_buffers: 16_384, hostname: ' a "b"' };
  const server = only(await render('postgresql', { values: { settings } }), 'StatefulSet');
  const { args } = server.spec.template.spec.containers[0];
  for (const word of ['work_mem=1048576', 'shared_buffers=16384', 'hostname= a "b"'])
    assert.ok(args.includes(word), word);
  const values = { settings, kind: 'cloudnative-pg' };
  const { parameters } = only(await render('postgresql', { values }), 'Cluster').spec.postgresql;
  for (const [name, value] of Object.entries(settings)) assert.is(parameters[name], String(value));
});

test.run();
