import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from '../rig/folder.ts';

const callSite = new URL('../../call-site.ts', import.meta.url);

test('finds the place of a call in a folder with any name', async () => {
  const base = temporaryFolder();
  for (const name of ['plain', 'a clone (copy), #1', 'a:1:2', ')(']) {
    const file = join(base, name, 'tasks.mjs');
    mkdirSync(join(base, name));
    const text = `import { CallSite } from '${callSite}';
const make = () => new CallSite(make);
export const direct = make();
export const [within] = [0].map(function inner() { return make(); });`;
    writeFileSync(file, text);
    const { direct, within } = await import(pathToFileURL(file).href);
    assert.equal([direct.file, direct.line], [file, 3]);
    assert.equal([within.file, within.line], [file, 4]);
  }
});

test.run();
