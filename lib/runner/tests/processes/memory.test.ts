import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from '../rig/folder.ts';
import { Rig } from '../rig/rig.ts';

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

const lines = (length: number, size: string): string =>
  `sh -c 'yes ${'x'.repeat(length - 1)} | head -c ${size}'`;

for (const [name, commands, words, least] of [
  ['a child that prints 512 MiB in lines', [lines(1000, '512M')], [], 1 << 29],
  ['a child that prints 512 MiB without a line break', ['head -c 512M /dev/zero'], [], 0],
  [
    'two that print 256 MiB each at the same time, of which one has to wait for its block',
    [lines(10_000, '256M'), lines(10_000, '256M')],
    ['--output', 'grouped'],
    0,
  ],
] as const)
  test(`${name}, whose output is read as fast as it comes`, async () => {
    const rig = await Rig.open();
    const tasks = commands.map((command, index) => ({ name: `t${index}`, commands: [command] }));
    const top = { name: 'top', needs: tasks.map((task) => task.name) };
    const run = rig.run([...tasks, top], ['top', ...words], { NODE_OPTIONS: `--import=${preload}` });
    let bytes = 0;
    run.child.stderr?.removeAllListeners('data').on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    await run.ends(0);
    await rig.close();
    assert.ok(bytes > least, `${bytes} bytes`);
    const peak = Number(readFileSync(peakFile, 'utf8')) / 1024;
    // Twice what a run needs that prints nothing.
    assert.ok(peak < 300, `${peak} MiB`);
  });

test.run();
