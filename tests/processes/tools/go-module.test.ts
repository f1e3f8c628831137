import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { getTool } from '../../../lib/tools/get-tool.ts';
import { loadManifest } from '../../../lib/tools/manifest.ts';
import { entryOf, inPlace } from '../../unit/tools/tool-fixture.ts';

const go = spawnable('go');
const buildCache = go === undefined ? '' : execFileSync(go, ['env', 'GOCACHE'], { encoding: 'utf8' }).trim();

(go === undefined ? test.skip : test)(
  'a real Go module is built with its version, and its folders are copied',
  () =>
    inPlace(async (place) => {
      process.env.PATH = [dirname(go ?? ''), process.env.PATH].join(':');
      // The user's own: Go's runtime is compiled once, not for every test.
      process.env.GOCACHE = buildCache;
      const module = join(place.folder, 'real');
      mkdirSync(join(module, 'config'), { recursive: true });
      writeFileSync(join(module, 'go.mod'), 'module example.org/hammer\n\ngo 1.21\n');
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
      };
      const { tools } = await loadManifest();
      const tool = await getTool(entryOf({ version: '1.2.3', go: recipe }), {}, place.context, tools.go);
      assert.match(
        execFileSync('sh', ['-c', `${tool.path} 2>&1`], { encoding: 'utf8' }),
        /^hammer 1\.2\.3$/m,
      );
      assert.is(readFileSync(join(tool.folder, 'schemas', 'schema.yaml'), 'utf8'), 'kind: Nail\n');
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
