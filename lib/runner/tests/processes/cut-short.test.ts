import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../ground/project.ts';
import { processStartTime } from '../../process-identity.ts';
import { bundled } from '../rig/bundled.ts';
import { type Ended, runFile } from '../rig/ended.ts';
import { folder, useFolder } from '../rig/folder.ts';

/* Runs that end in another way than by the end of their tasks. */

useFolder(test);
let runner = '';
let files = 0;
test.before(async () => {
  runner = await bundled(join(root, 'lib', 'runner', 'runner.ts'));
});
test.before.each(() => writeFileSync(join(folder, 'package.json'), '{"type":"module"}'));

const head = () => `
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { Worker } from 'node:worker_threads';
import { runCli, task, TaskError } from '${runner}';
const described = { description: 'd', commands: () => [] };
`;

/** A file of tasks; `last` is what it ends with. */
function fileOf(
  body: string,
  last = 'process.exitCode = await runCli(tasks, process.argv.slice(2));',
): string {
  files += 1;
  const file = join(folder, `${files}-tasks.js`);
  writeFileSync(file, `${head()}\n${body}\n${last}\n`);
  return file;
}

/** Runs the task `top` of such a file. */
const run = (body: string, last?: string): Promise<Ended> =>
  runFile(process.execPath, [fileOf(body, last), 'top'], folder);

/** Runs the line in bash, `$0` being the file. */
const inShell = (file: string, line: string): Promise<Ended> =>
  runFile('bash', ['-c', line.replace('$0', `"${process.execPath}" "${file}"`)], folder);

const then = `runCli(tasks, process.argv.slice(2)).then((code) => { process.exitCode = code; });`;

test('a task whose promise never settles fails when nothing is left that could settle it; finalisers and cleanups run', async () => {
  const body = `
    const remove = task({ name: 'remove', description: 'd', commands: () => ['echo removed'] });
    const stuck = task({
      ...described, name: 'stuck', finally: [remove],
      run: async ({ $, onRunEnd }) => { onRunEnd(() => { console.error('cleaned up'); }); await $\`true\`; await new Promise(() => {}); },
    });
    const top = task({ ...described, name: 'top', needs: [stuck] });
    const tasks = [stuck, top];`;
  for (const last of [undefined, then]) {
    const { exitCode, stderr } = await run(body, last);
    assert.is(exitCode, 1, stderr);
    assert.match(stderr, 'error: task `stuck` waits for something that never comes\n');
    assert.match(stderr, 'task: top → stuck (');
    assert.match(stderr, 'removed\n');
    assert.match(stderr, 'cleaned up\n');
  }
});

test('process.exit(0) in a task is no success, and other codes stay', async () => {
  for (const [exit, expected] of [
    [0, 1],
    [7, 7],
  ] as const) {
    const { exitCode, stderr } = await run(`
      const top = task({ ...described, name: 'top', run: () => process.exit(${exit}) });
      const tasks = [top];`);
    assert.is(exitCode, expected, stderr);
    assert.match(stderr, `error: \`process.exit(${exit})\` was called, but the run has not ended\n`);
  }
});

test('a command that a task starts after its end is an error that says so', async () => {
  const { exitCode, stderr } = await run(`
    const early = task({ ...described, name: 'early', run: ({ $ }) => { setTimeout(() => $\`echo late\`, 20); } });
    const top = task({ name: 'top', description: 'd', needs: [early], commands: () => ['sleep 600'] });
    const tasks = [early, top];`);
  assert.is(exitCode, 1, stderr);
  assert.match(stderr, 'error: task `early` starts a command after it has ended\n');
  assert.match(stderr, /do: `await` all of it in `run`, see \S*tasks\.js:\d+\n/);
});

test('a run that cannot even begin, because its options never come, is no success', async () => {
  const { exitCode, stderr } = await run(
    `const tasks = [task({ ...described, name: 'top' })];`,
    `runCli(tasks, ['top'], { resolve: () => new Promise(() => {}) }).then((code) => { process.exitCode = code; });`,
  );
  assert.is(exitCode, 1, stderr);
  assert.match(stderr, 'error: nothing is left to wait for, but the run has not ended\n');
});

test('losing a result to a full disk is a failure, losing its reader is not', async () => {
  const body = `const top = task({ ...described, name: 'top', run: ({ print }) => print('result') }); const tasks = [top];`;
  const file = fileOf(body);
  for (const words of ['top', 'list']) {
    const { exitCode, stderr } = await inShell(file, `$0 ${words} > /dev/full`);
    assert.is(exitCode, 1, stderr);
    assert.match(stderr, /error: cannot write all results\n {2}why: ENOSPC/);
  }
  const closed = await inShell(file, 'set -o pipefail; $0 top | true');
  assert.equal([closed.exitCode, closed.stderr], [0, '']);
});

test('a log that the disk does not take ends the run as a failure', async () => {
  const body = `
    const top = task({ ...described, name: 'top', run: async ({ log, signal }) => {
      log('line');
      await new Promise((resolve) => { setTimeout(resolve, 60_000); signal.addEventListener('abort', resolve); });
    } });
    const tasks = [top];`;
  const file = fileOf(body, "process.exitCode = await runCli(tasks, ['top']); process.exit();");
  const { exitCode } = await inShell(file, '$0 2> /dev/full');
  assert.is(exitCode, 1);
});

test('what is thrown after the end of a run is shown as during it', async () => {
  for (const [late, shown] of [
    ["setTimeout(() => { throw new Error('too late'); }, 300);", 'Internal error: too late'],
    ["setTimeout(() => Promise.reject(new TaskError({ what: 'no', why: 'y' })), 300);", 'no\n  why: y'],
  ]) {
    const { exitCode, stderr } = await run(
      `const tasks = [task({ ...described, name: 'top', run: () => { ${late} } })];`,
    );
    assert.is(exitCode, 1, stderr);
    assert.match(stderr, `error: ${shown}\n`);
    assert.not.match(stderr, /^ +at /m);
  }
});

test('after the end of a run process.exit is nobody else’s business', async () => {
  const { exitCode, stderr } = await run(
    `const tasks = [task({ ...described, name: 'top' })];`,
    'await runCli(tasks, ["top"]); process.exit(0);',
  );
  assert.is(exitCode, 0, stderr);
  assert.is(stderr, '');
});

const verbosely = "process.exitCode = await runCli(tasks, ['top', '--verbose']);";
const stay = 'setInterval(() => {}, 1000);';

test('what tasks have left open does not keep the process, whatever the outcome, and is named', async () => {
  const cases = [
    [`run: () => { createServer().listen(0); ${stay} ${stay} }`, 0, 'TCPServerWrap, Timeout, Timeout'],
    [`run: () => { new Worker('${stay}', { eval: true }); }`, 0, 'a worker'],
    [`timeoutMs: 1, run: () => new Promise(() => { ${stay} })`, 124, 'Timeout'],
    [`check: () => new Promise(() => { ${stay} process.kill(process.pid, 'SIGTERM'); })`, 143, 'Timeout'],
  ] as const;
  // Together, since each is given 2 seconds.
  const ends = cases.map(([definition]) =>
    run(`const tasks = [task({ ...described, name: 'top', ${definition} })];`, verbosely),
  );
  for (const [index, { exitCode, stderr }] of (await Promise.all(ends)).entries()) {
    const [, expected, named = ''] = cases[index] ?? [];
    assert.is(exitCode, expected, stderr);
    const warning = stderr.split('\n').find((line) => line.startsWith('warning'));
    const [text, things] = warning?.split(': ').slice(1) ?? [];
    assert.is(text, 'ended although something was still open');
    assert.equal(things?.split(', ').sort(), named.split(', ').sort());
  }
});

test('a process left by a task ends with the run, and no output is lost', async () => {
  const { exitCode, stdout, stderr } = await run(`
    const top = task({ ...described, name: 'top', run: ({ print }) => {
      print(String(spawn('sleep', ['600']).pid));
      print('x'.repeat(900_000));
    } });
    const tasks = [top];`);
  assert.is(exitCode, 0);
  assert.is(stderr, '', 'only --verbose names it');
  const [pid, text] = stdout.split('\n');
  assert.is(text?.length, 900_000);
  assert.is(await processStartTime(Number(pid)), undefined);
});

test('a time limit counts for a body that never lets go of the processor, too', async () => {
  const { exitCode, stderr } = await run(`
    const busy = () => { for (const until = performance.now() + 50; performance.now() < until; ); };
    const tasks = [task({ ...described, name: 'top', timeoutMs: 1, run: busy })];`);
  assert.is(exitCode, 124, stderr);
});

test.run();
