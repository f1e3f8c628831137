import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Random, randomOf, withSeeds } from '../../lib/runner/tests/rig/random-graph.ts';
import { loadSettings } from '../../lib/settings/settings.ts';
import { copyOfReleases, helmfileText } from './environments.ts';
import { objectsOf, only } from './render.ts';

/*
 * The tasks and helmfile read the same settings. Random scalars, as people write them: each is refused, or comes
 * out of helmfile and helm as it was written.
 */

const test = suite('readers');

const parts = [
  ...'019aexobnyT_-+.:/~=< "\'\\{}[],&*!|>%@`?$é\u00a0\t\n',
  ...['07', ': ', ' #', 'inf', 'nan', 'true', 'null', 'yes', 'Off', '0x', '0o', '2001-01-01', '12:30', '😀'],
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

test('a text setting is either refused or reaches helm unchanged', async () => {
  const folder = await copyOfReleases();
  const load = () => loadSettings({ name: 'development', provider: 'embedded', root: folder });
  await withSeeds(2, async (seed) => {
    const random = randomOf(seed * 6271);
    const taken: { readonly scalar: string; readonly text: string }[] = [];
    let refused = 0;
    for (let index = 0; index < 250; index += 1) {
      const text = Array.from({ length: 1 + Math.floor(random() * 5) }, () => pick(parts, random)).join('');
      const scalar = pick(forms, random)(text);
      await writeFile(join(folder, file), `buildArguments:\n  X: ${scalar}\n`);
      const settings = await load().catch(() => undefined);
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
    const settings = ['releases:', '  devops:', '    databaseSecrets:', ...secrets, ''].join('\n');
    await writeFile(join(folder, file), settings);
    await load();
    const selectors = ['name=devops'];
    const text = await helmfileText('embedded', 'development', ['template'], { folder, settings, selectors });
    const objects = objectsOf(text);
    for (const [index, { text: read, scalar }] of taken.entries())
      assert.is(only(objects, 'Secret', `s${index}`).stringData.DB_PASSWORD, read, JSON.stringify(scalar));
  });
});

test.run();
