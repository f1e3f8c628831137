import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { leftovers } from '../rig/leftovers.ts';
import { chartNames, required } from './render.ts';
import { root, succeed, temporaryFolder } from './tools.ts';

const test = suite('folders of charts');

for (const chart of chartNames) {
  test(`${chart}: no warning of helm lint with the required values only`, async () => {
    const stdin = JSON.stringify(required[chart]);
    const said = await succeed('helm', ['lint', '--strict', '--values', '-', `charts/${chart}`], { stdin });
    assert.match(said, '1 chart(s) linted, 0 chart(s) failed');
  });

  test(`${chart} renders the same with leftovers of editors and systems in its folders`, async () => {
    const folder = join(temporaryFolder(), chart);
    await cp(join(root, 'charts', chart), folder, { recursive: true });
    const args = ['template', 'app', folder, '--namespace', 'here', '--include-crds', '--values', '-'];
    const render = () => succeed('helm', args, { stdin: JSON.stringify(required[chart]) });
    const before = await render();
    const below = await readdir(folder, { recursive: true, withFileTypes: true });
    const folders = below.flatMap((one) => (one.isDirectory() ? [join(one.parentPath, one.name)] : []));
    for (const place of [folder, ...folders]) {
      await mkdir(join(place, '.idea'));
      for (const name of leftovers('values.yaml')) await writeFile(join(place, name), '{{ broken: [');
    }
    assert.is(await render(), before);
  });
}

test.run();
