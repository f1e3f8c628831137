import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { $ } from 'zx';
import { buildFlags, goEnvironment, moduleFolder } from '../lib/tools/go-build.ts';
import { type GoRecipe, loadManifest, type ToolName, toolsOf } from '../lib/tools/manifest.ts';

/*
 * `node --import tsx bench/cross-compile.ts [--platform darwin/arm64] [names]`: compiles and links the Go programs of
 * the embedded cluster (by default all of them, for darwin/arm64 and linux/arm64), with the flags of the real build,
 * and keeps none. One line each; exit code 1 when one fails. Not a test: all of it takes an hour on two cores.
 */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { platform: { type: 'string', multiple: true, default: ['darwin/arm64', 'linux/arm64'] } },
});
const { tools } = await loadManifest();
const known = toolsOf('embedded').filter((name) => tools[name].go !== undefined);
const unknown = positionals.filter((name) => !known.includes(name as ToolName));
if (unknown.length > 0) throw new Error(`unknown: ${unknown.join(', ')}; known: ${known.join(', ')}`);

const folder = await mkdtemp(join(tmpdir(), 'cross-'));
try {
  for (const name of known.filter((known) => positionals.length === 0 || positionals.includes(known)))
    for (const platform of values.platform) {
      const recipe = tools[name].go as GoRecipe;
      const [GOOS, GOARCH] = platform.split('/');
      const env = { ...goEnvironment(recipe, folder), GOOS, GOARCH };
      const build = $({ cwd: moduleFolder(recipe), env, nothrow: true, quiet: true });
      const words = [...buildFlags(recipe), '-o', join(folder, 'program'), recipe.package];
      const { ok, duration, stderr } = await build`nice -n 10 go build ${words}`;
      process.stdout.write(`${ok ? 'ok    ' : 'FAILED'} ${name} for ${platform} (${duration} ms)\n`);
      if (ok) continue;
      process.stdout.write(stderr);
      process.exitCode = 1;
    }
} finally {
  await rm(folder, { recursive: true, force: true });
}
