import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from '../rig/folder.ts';
import { Rig, type RigTask } from '../rig/rig.ts';

// A slow machine needs a while for half a GiB.
process.env.RIG_DEADLINE_MS ??= '150000';

const folder = temporaryFolder();
const preload = join(folder, 'peak.mjs');
const peakFile = join(folder, 'peak');
// The kernel's own high-water mark, in KiB; of the run itself, not of its children.
writeFileSync(
  preload,
  `import { writeFileSync } from 'node:fs';
if (process.argv[1]?.endsWith('/program.mjs'))
  process.once('exit', () => writeFileSync(${JSON.stringify(peakFile)}, String(process.resourceUsage().maxRSS)));`,
);

/** A run whose output is read as fast as it comes but not kept; how much that was, and its own peak in MiB. */
async function measure(
  tasks: readonly RigTask[],
  args: readonly string[],
): Promise<{ bytes: number; peak: number }> {
  const rig = await Rig.open();
  const run = rig.run(tasks, args, { NODE_OPTIONS: `--import=${preload}` });
  let bytes = 0;
  run.child.stderr?.removeAllListeners('data').on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  const exit = await new Promise((resolve) => run.child.once('close', resolve));
  await rig.close();
  assert.is(exit, 0);
  return { bytes, peak: Number(readFileSync(peakFile, 'utf8')) / 1024 };
}

/** Twice what a run needs that prints nothing. */
const limit = 300;

test('a child that prints 512 MiB in lines', async () => {
  const line = 'x'.repeat(999);
  const tasks = [{ name: 'loud', commands: [`sh -c 'yes ${line} | head -c 512M'`] }];
  const { bytes, peak } = await measure(tasks, ['loud']);
  assert.ok(bytes > 1 << 29, `${bytes} bytes`);
  assert.ok(peak < limit, `${peak} MiB`);
});

test('a child that prints 512 MiB without a line break', async () => {
  const tasks = [{ name: 'loud', commands: ['head -c 512M /dev/zero'] }];
  const { peak } = await measure(tasks, ['loud']);
  assert.ok(peak < limit, `${peak} MiB`);
});

test('two that print 256 MiB each at the same time, of which one has to wait for its block', async () => {
  const command = `sh -c 'yes ${'x'.repeat(9999)} | head -c 256M'`;
  const tasks = [
    { name: 'one', commands: [command] },
    { name: 'other', commands: [command] },
    { name: 'top', needs: ['one', 'other'] },
  ];
  const { peak } = await measure(tasks, ['top', '--output', 'grouped']);
  assert.ok(peak < limit, `${peak} MiB`);
});

test.run();
