import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../ground/project.ts';
import { folder, rig, useRig } from '../rig/rig.ts';

useRig(test);

test('what a command writes to stdout and stderr keeps its order', async () => {
  const both = 'for i in $(seq 300); do echo o$i; echo e$i >&2; done';
  const ofNode = `node -e 'for (let i = 1; i < 301; i += 1) { console.log("o" + i); console.error("e" + i); }'`;
  const inOrder = Array.from({ length: 300 }, (_, index) => `o${index + 1}\ne${index + 1}\n`).join('');
  for (const command of [both, `sh -c '${both}'`, ofNode]) {
    const run = await rig.run([{ name: 'talk', plain: true, commands: [command] }]).ends(0);
    assert.is(run.stdout, '');
    assert.is(run.stderr, `$ ${command}\n${inOrder}`);
  }
});

test('many commands at once have a pipe each, and each ends with its own lines', async () => {
  const names = Array.from({ length: 40 }, (_, index) => `t${index}`);
  const commands = (name: string): string[] => [`echo ${name}`, `sh -c 'echo ${name} >&2'`];
  const tasks = names.map((name) => ({ name, plain: true, commands: commands(name) }));
  const all = { name: 'all', commands: [], needs: names };
  const run = await rig.run([...tasks, all], ['all', '--jobs', '30', '--output', 'grouped']).ends(0);
  for (const name of names) {
    // Not next to each other if the task was shown at once, since it ran alone for a moment.
    const said = [`  \\$ echo ${name}`, `  ${name}`, `  \\$ sh -c .*${name}.*`, `  ${name}`, `✓ ${name} .*`];
    assert.match(run.stderr, new RegExp(said.map((line) => `^${line}$`).join('[^]*'), 'm'));
  }
});

test('where no pipe can be made for both streams, and in JSON, each has its own', async () => {
  const talk = { name: 'talk', plain: true, commands: ['echo o; echo e >&2'] };
  const apart = rig.run([talk], ['talk'], { TMPDIR: '/nowhere' });
  const json = rig.run([talk], ['talk', '--output', 'json']);
  assert.equal([await apart.exit, await json.exit], [0, 0]);
  for (const [stream, line] of Object.entries({ stdout: 'o', stderr: 'e' })) {
    assert.match(apart.stderr, new RegExp(`^${line}$`, 'm'));
    assert.match(json.stderr, `"stream":"${stream}","line":"${line}"`);
  }
});

test('the reason of a failure and what bash says of a command are seen, whatever stream they come by', async () => {
  const full = 'sh -c "echo no space left on device >&2; echo cleaning up; exit 3"';
  for (const [command, code, error] of [
    [full, 3, /why: no space left on device\n/],
    ['if then', 2, /syntax error near unexpected token `then'/],
    ['no-such-program-anywhere x', 127, /error: `no-such-program-anywhere` is not installed\n/],
  ] as const) {
    const run = rig.run([{ name: 'fail', plain: true, commands: [command] }]);
    await run.ends(code);
    assert.match(run.stderr, error);
  }
});

test('a line of millions of characters stays one line, and the summary of a failure shows its beginning', async () => {
  const print = "head -c 3000000 /dev/zero | tr '\\0' x; echo";
  const long = await rig.run([{ name: 'long', plain: true, commands: [print] }]).ends(0);
  const lengths = long.stderr.split('\n').map((line) => line.length);
  assert.equal(lengths, [`$ ${print}`.length, 3_000_000, 0]);
  const all = { name: 'all', commands: [], needs: ['long'] };
  const tasks = [{ name: 'long', plain: true, commands: [`${print}; exit 3`] }, all];
  const failed = await rig.run(tasks, ['all', '--output', 'live']).ends(3);
  const [, why = ''] = /why: (.*)/.exec(failed.stderr) ?? [];
  const [, last = ''] = /last lines:\n(.*)/.exec(failed.stderr) ?? [];
  for (const shown of [why, last]) {
    assert.match(shown, /x{500} … \(\d+ characters\)$/);
    assert.ok(shown.length < 600);
  }
});

/* Memory. */

// A slow machine needs a while for half a GiB.
process.env.RIG_DEADLINE_MS ??= '150000';

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
    const peak = join(folder, 'peak');
    const tasks = commands.map((command, index) => ({ name: `t${index}`, commands: [command] }));
    const top = { name: 'top', needs: tasks.map((task) => task.name) };
    const run = rig.run([...tasks, top], ['top', ...words], {
      NODE_OPTIONS: `--import=${join(root, 'bench', 'peak-memory.mjs')}`,
      // Of the run itself, not of its children.
      ...{ BENCH_PEAK_MEMORY: peak, BENCH_PEAK_MEMORY_OF: '/program.mjs' },
    });
    let bytes = 0;
    run.child.stderr?.removeAllListeners('data').on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    await run.ends(0);
    assert.ok(bytes > least, `${bytes} bytes`);
    const peakMiB = Number(readFileSync(peak, 'utf8')) / 1024;
    // Twice what a run needs that prints nothing.
    assert.ok(peakMiB < 300, `${peakMiB} MiB`);
  });

test.run();
