import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { getTool } from '../../../lib/tools/get-tool.ts';
import { loadManifest } from '../../../lib/tools/manifest.ts';
import { entryOf, inPlace } from '../../unit/tools/tool-fixture.ts';

const go = spawnable('go');
const buildCache = go === undefined ? '' : execFileSync(go, ['env', 'GOCACHE'], { encoding: 'utf8' }).trim();

(go === undefined ? test.skip : test)(
  'a real Go module is built with its version, and folders of it and of others are copied',
  () =>
    inPlace(async (place) => {
      process.env.PATH = [dirname(go ?? ''), process.env.PATH].join(':');
      // The user's own: Go's runtime is compiled once, not for every test.
      process.env.GOCACHE = buildCache;
      const module = join(place.folder, 'real');
      mkdirSync(join(module, 'config'), { recursive: true });
      writeFileSync(
        join(module, 'go.mod'),
        'module example.org/hammer\n\ngo 1.21\n\nrequire example.org/anvil v1.0.0\n\nreplace example.org/anvil => ../other\n',
      );
      writeFileSync(join(module, 'go.sum'), '');
      mkdirSync(join(module, 'config', 'deep'));
      writeFileSync(join(module, 'config', 'deep', 'part.yaml'), 'kind: Head\n', { mode: 0o444 });
      writeFileSync(join(module, 'config', 'schema.yaml'), 'kind: Nail\n', { mode: 0o444 });
      // println: no package of the standard library has to be compiled for it, beside the runtime.
      writeFileSync(
        join(module, 'main.go'),
        'package main\n\nvar version = "none"\n\nfunc main() { println("hammer", version) }\n',
      );
      const recipe = {
        module,
        package: 'example.org/hammer',
        ldflags: '-X main.version=1.2.3',
        folders: { schemas: 'config' },
        files: {
          one: { module: 'example.org/anvil', path: 'types/anvil.yaml' },
          all: { module: 'example.org/anvil', path: 'types' },
        },
      };
      // another module, which is required and not compiled
      const other = join(place.folder, 'other');
      mkdirSync(join(other, 'types'), { recursive: true });
      writeFileSync(join(other, 'go.mod'), 'module example.org/anvil\n\ngo 1.21\n');
      writeFileSync(join(other, 'types', 'anvil.yaml'), 'kind: Anvil\n', { mode: 0o444 });
      writeFileSync(join(other, 'types', 'tongs.yaml'), 'kind: Tongs\n', { mode: 0o444 });
      const { tools } = await loadManifest();
      const tool = await getTool(entryOf({ version: '1.2.3', go: recipe }), {}, place.context, tools.go);
      assert.match(
        execFileSync('sh', ['-c', `${tool.path} 2>&1`], { encoding: 'utf8' }),
        /^hammer 1\.2\.3$/m,
      );
      assert.is(readFileSync(join(tool.folder, 'schemas', 'schema.yaml'), 'utf8'), 'kind: Nail\n');
      assert.equal(readdirSync(join(tool.folder, 'one')), ['anvil.yaml']);
      assert.equal(readdirSync(join(tool.folder, 'all')).sort(), ['anvil.yaml', 'tongs.yaml']);
      assert.is(readFileSync(join(tool.folder, 'schemas', 'deep', 'part.yaml'), 'utf8'), 'kind: Head\n');
    }),
);

function spawnable(program: string): string | undefined {
  try {
    return execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

test.run();
