import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pick, type Random, randomOf, withSeeds } from '../../lib/runner/tests/rig/random-graph.ts';
import type { ImageSetting } from '../../lib/settings/context.ts';
import { loadSettings } from '../../lib/settings/settings.ts';
import { copyOfReleases, objectsWith } from './environments.ts';
import { only, podTemplates } from './render.ts';
import { root } from './tools.ts';

/*
 * The tasks and helmfile read the same settings. Random scalars, as people write them: each is refused, or comes
 * out of helmfile and helm as it was written.
 */

const test = suite('readers');

const parts = [
  ...'019aexobnyT_-+.:/~=< "\'\\{}[],&*!|>%@`?$é\u00a0\t\n',
  ...['07', ': ', ' #', 'inf', 'nan', 'true', 'null', 'yes', 'Off', '0x', '0o', '2001-01-01', '12:30', '😀'],
];

const forms: readonly ((text: string) => string)[] = [
  ...Array(3).fill((text: string) => text),
  (text) => JSON.stringify(text),
  (text) => `'${text.replaceAll("'", "''")}'`,
  (text) => `|\n        ${text.replaceAll('\n', '\n        ')}`,
  (text) => `|+\n        ${text.replaceAll('\n', '\n        ')}\n\n`,
  (text) => `>-\n        ${text.replaceAll('\n', '\n        ')}`,
];

const file = 'environments/development/zz.yaml';

test('a text setting is either refused or reaches helm unchanged', async () => {
  const folder = copyOfReleases();
  const load = () => loadSettings({ name: 'development', provider: 'embedded', root: folder });
  await withSeeds(2, async (seed) => {
    const random = randomOf(seed * 6271);
    const taken: { readonly scalar: string; readonly text: string }[] = [];
    let refused = 0;
    for (let index = 0; index < 250; index += 1) {
      const text = Array.from({ length: 1 + Math.floor(random() * 5) }, () => pick(random, parts)).join('');
      const scalar = pick(random, forms)(text);
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
    const login = ['namespace: backend', 'host: elsewhere', 'port: 1', 'name: app', 'user: app'];
    const secrets = taken.map(({ scalar }, index) =>
      [`     s${index}:`, ...login, `password: ${scalar}`].join('\n       '),
    );
    const settings = ['releases:', '  devops:', '    databaseSecrets:', ...secrets, ''].join('\n');
    await writeFile(join(folder, file), settings);
    await load();
    const objects = await objectsWith(settings, ['name=devops'], { folder });
    for (const [index, { text: read, scalar }] of taken.entries())
      assert.is(only(objects, 'Secret', `s${index}`).stringData.DB_PASSWORD, read, JSON.stringify(scalar));
  });
});

/** A layer that replaces parts of images, from few values, so that layers agree in some. */
const layer = (random: Random): string => {
  const image = (name: string) =>
    Object.entries({
      repository: ['a', 'b'].map((host) => `${host}.test/${name.toLowerCase()}`),
      tag: ['"1"', '"2"'],
      digest: ['""', ...['a', 'b'].map((digit) => `sha256:${digit.repeat(64)}`)],
    }).flatMap(([key, values]) => (random() < 0.7 ? [`${key}: ${pick(random, values)}`] : []));
  return ['images:', ...rendered.map((name) => `  ${name}: { ${image(name).join(', ')} }`), ''].join('\n');
};
const rendered = ['backend', 'backendVerification', 'frontend', 'postgresql'];

test('an image has the same digest for the tasks and in pods, whichever layer replaces it', async () => {
  const folder = copyOfReleases();
  await withSeeds(4, async (seed) => {
    const random = randomOf(seed * 7919);
    for (const name of ['environments/embedded.yaml', file]) {
      const before = name === file ? '' : await readFile(join(root, name), 'utf8');
      await writeFile(join(folder, name), before + layer(random));
    }
    const settings = layer(random);
    await writeFile(join(folder, 'environments/development/zzz.yaml'), settings);
    const { images } = await loadSettings({ name: 'development', provider: 'embedded', root: folder });
    const names = rendered.map((name) => {
      const { repository, tag, digest } = images[name] as ImageSetting;
      return `${repository}:${tag}${digest && `@${digest}`}`;
    });
    const objects = await objectsWith('', ['app=app1', 'app=postgresql'], { folder });
    const found = podTemplates(objects).flatMap(([, pod]) =>
      pod.containers.map((container: { image: string }) => container.image),
    );
    assert.equal([...new Set(found)].sort(), [...new Set(names)].sort());
  });
});

test.run();
