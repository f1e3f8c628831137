import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { folder, rig, useRig } from '../rig/rig.ts';

useRig(test);
// A slow machine needs a while for half a GiB.
process.env.RIG_DEADLINE_MS ??= '150000';

// The kernel's own high-water mark, in KiB; of the run itself, not of its children.
const peak = (file: string): string => `import { writeFileSync } from 'node:fs';
if (process.argv[1]?.endsWith('/program.mjs'))
  process.once('exit', () => writeFileSync(${JSON.stringify(file)}, String(process.resourceUsage().maxRSS)));`;

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
    const [preload, peakFile] = ['peak.mjs', 'peak'].map((file) => join(folder, file)) as [string, string];
    writeFileSync(preload, peak(peakFile));
    const tasks = commands.map((command, index) => ({ name: `t${index}`, commands: [command] }));
    const top = { name: 'top', needs: tasks.map((task) => task.name) };
    const run = rig.run([...tasks, top], ['top', ...words], { NODE_OPTIONS: `--import=${preload}` });
    let bytes = 0;
    run.child.stderr?.removeAllListeners('data').on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    await run.ends(0);
    assert.ok(bytes > least, `${bytes} bytes`);
    const peakMiB = Number(readFileSync(peakFile, 'utf8')) / 1024;
    // Twice what a run needs that prints nothing.
    assert.ok(peakMiB < 300, `${peakMiB} MiB`);
  });

test.run();
