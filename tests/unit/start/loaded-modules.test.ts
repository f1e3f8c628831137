import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { onPlatform } from '../../../lib/runner/tests/rig/platform.ts';
import { bootstrap } from '../../../lib/start/bootstrap.ts';

/**
 * Files of the project that are loaded together with one: those that it imports other than by `import()` or for their
 * types.
 */
function loadedWith(path: string, found = new Set<string>()): Set<string> {
  if (found.has(path)) return found;
  found.add(path);
  const text = readFileSync(path, 'utf8');
  const imports = text.matchAll(
    /^(?:import|export)\s+(?!type\b)(?:[^;']*?from\s+)?'(\.[^']+|@k8s-deployment\/runner)';/gm,
  );
  for (const [, to = ''] of imports)
    loadedWith(to.startsWith('.') ? join(dirname(path), to) : join(root, 'lib/runner/runner.ts'), found);
  return found;
}

const loaded = [...loadedWith(join(root, 'tasks/all.ts'))].map((path) => relative(root, path));

test('declaring a task does not load the code of its run', () => {
  const light =
    /^(?:tasks|lib\/(?:runner|ground|settings|tools))\/|^lib\/cluster\/(?:providers|(\w+)\/\1)\.ts$/;
  assert.equal(
    loaded.filter((path) => !light.test(path)),
    [],
  );
});

test('few modules are loaded before the command line is parsed, because each costs time at every start', () => {
  assert.ok(loaded.includes('lib/runner/task.ts'));
  const own = loaded.filter((path) => !path.startsWith('lib/runner/'));
  assert.ok(own.length <= 28, `${own.length}:\n${own.join('\n')}`);
});

test('on Windows one line says WSL2', async () => {
  const write = process.stderr.write;
  let text = '';
  process.stderr.write = ((chunk: string) => {
    text += chunk;
    return true;
  }) as typeof write;
  try {
    await onPlatform('win32', {}, async () => assert.is(await bootstrap(['status']), 1));
  } finally {
    process.stderr.write = write;
  }
  assert.match(text, /^error: the tasks do not run on Windows itself$/m);
  assert.match(text, /^ {2}do: use WSL2/m);
});

test.run();
