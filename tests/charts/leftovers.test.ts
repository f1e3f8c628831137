import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { leftovers } from '../rig/leftovers.ts';
import { chartNames, required } from './render.ts';
import { root, run, temporaryFolder } from './tools.ts';

/* Leftovers of editors and systems in a chart's folder are not rendered as templates, CRDs or files of a ConfigMap. */

const test = suite('leftovers in charts');

for (const chart of chartNames) {
  test(`${chart} renders the same`, async () => {
    const folder = join(temporaryFolder(), chart);
    await cp(join(root, 'charts', chart), folder, { recursive: true });
    const render = async (): Promise<string> => {
      const args = ['template', 'app', folder, '--namespace', 'here', '--include-crds', '--values', '-'];
      const { exitCode, stdout, stderr } = await run('helm', args, {
        stdin: JSON.stringify(required[chart]),
      });
      assert.is(exitCode, 0, stderr);
      return stdout;
    };
    const before = await render();
    const below = await readdir(folder, { recursive: true, withFileTypes: true });
    const folders = below.filter((entry) => entry.isDirectory());
    for (const place of [folder, ...folders.map((entry) => join(entry.parentPath, entry.name))]) {
      await mkdir(join(place, '.idea'));
      for (const name of leftovers('values.yaml')) await writeFile(join(place, name), '{{ broken: [');
    }
    assert.is(await render(), before);
  });
}

test.run();
