import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { getTool } from '../../../lib/tools/get-tool.ts';
import { findProgram } from '../../rig/programs.ts';
import { entryOf, inPlace } from '../../unit/tools/tool-fixture.ts';

const go = findProgram('GO', 'go');
const buildCache = go === undefined ? '' : execFileSync(go, ['env', 'GOCACHE'], { encoding: 'utf8' }).trim();

const recipe = {
  package: 'example.org/hammer',
  ldflags: '-X main.version=1.2.3',
  folders: { schemas: 'config' },
  files: {
    one: { module: 'example.org/anvil', path: 'types/anvil.yaml' },
    all: { module: 'example.org/anvil', path: 'types' },
  },
};
// Another module is required and not compiled.
const required = 'require example.org/anvil v1.0.0\n\nreplace example.org/anvil => ../other';
const sources = {
  'real/go.mod': `module example.org/hammer\n\ngo 1.21\n\n${required}\n`,
  'real/go.sum': '',
  // println: no package of the standard library has to be compiled for it, beside the runtime.
  'real/main.go': 'package main\n\nvar version = "none"\n\nfunc main() { println("hammer", version) }\n',
  'real/config/schema.yaml': 'kind: Nail\n',
  'real/config/deep/part.yaml': 'kind: Head\n',
  'other/go.mod': 'module example.org/anvil\n\ngo 1.21\n',
  'other/types/anvil.yaml': 'kind: Anvil\n',
  'other/types/tongs.yaml': 'kind: Tongs\n',
};

(go === undefined ? test.skip : test)(
  'a real Go module is built with its version, and folders of it and of others are copied',
  () =>
    inPlace(async ({ folder, context }) => {
      process.env.PATH = [dirname(go ?? ''), process.env.PATH].join(':');
      // The user's own: Go's runtime is compiled once, not for every test.
      process.env.GOCACHE = buildCache;
      for (const [path, text] of Object.entries(sources)) {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), text, { mode: path.endsWith('.yaml') ? 0o444 : 0o644 });
      }
      const entry = entryOf({ version: '1.2.3', go: { ...recipe, module: join(folder, 'real') } });
      const tool = await getTool(entry, {}, context);
      const printed = execFileSync('sh', ['-c', `${tool.path} 2>&1`], { encoding: 'utf8' });
      assert.match(printed, /^hammer 1\.2\.3$/m);
      const copied = (...path: string[]) => join(tool.folder, ...path);
      assert.is(readFileSync(copied('schemas', 'schema.yaml'), 'utf8'), 'kind: Nail\n');
      assert.is(readFileSync(copied('schemas', 'deep', 'part.yaml'), 'utf8'), 'kind: Head\n');
      assert.equal(readdirSync(copied('one')), ['anvil.yaml']);
      assert.equal(readdirSync(copied('all')).sort(), ['anvil.yaml', 'tongs.yaml']);
    }),
);

test.run();
