import { execFile } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TaskError } from '../../../errors.ts';
import type { RunnerSettings } from '../../../global-options.ts';
import { openReportFile } from '../../../report/reports.ts';
import { folder, useFolder } from '../../rig/folder.ts';
import { graphOf, plain } from '../../rig/graphs.ts';
import { runInProcess } from '../../rig/in-process-run.ts';
import { refusalOf } from '../../rig/refusal.ts';

useFolder(test);

const opened = (path: string) => openReportFile(path, '--report', 'by us');
const refused = (path: string) => refusalOf(opened(path));
function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

test('a file is for its owner alone; until the new one is whole, nothing changes', async () => {
  const path = join(folder, 'run.html');
  const file = await opened(path);
  assert.equal(readdirSync(folder), []);
  await file.write('by us: old');
  const again = await opened(path);
  assert.is(readFileSync(path, 'utf8'), 'by us: old');
  await again.write('new');
  assert.equal(readdirSync(folder), ['run.html']);
  assert.is(readFileSync(path, 'utf8'), 'new');
  assert.is(statSync(path).mode & 0o777, 0o600);
});

test('what cannot be written is refused with the reason', async () => {
  const other = '<!doctype html>';
  for (const [name, text] of Object.entries({ file: '', 'other.html': other })) write(name, text);
  mkdirSync(join(folder, 'inner'));
  symlinkSync('nothing', join(folder, 'dangling'));
  await promisify(execFile)('mkfifo', [join(folder, 'pipe')]);
  for (const [path, why] of [
    [join(folder, 'none', 'run.html'), `there is no folder \`${join(folder, 'none')}\``],
    [join(folder, 'file', 'run.html'), `\`${join(folder, 'file')}\` is not a folder`],
    [join(folder, 'inner'), 'it is a folder'],
    [join(folder, 'pipe'), 'no program reads this pipe'],
    [join(folder, 'dangling'), 'it is a link to nothing'],
    ['-', 'it is not a file name'],
    [join(folder, 'other.html'), '`--report` has not written this file'],
  ] as const)
    assert.is((await refused(path)).why, why);
  assert.match((await refused('-')).advice, '/dev/stdout');
  assert.equal(readdirSync(folder).sort(), ['dangling', 'file', 'inner', 'other.html', 'pipe']);
  assert.is(readFileSync(join(folder, 'other.html'), 'utf8'), other);
  // An empty one may be replaced.
  await opened(join(folder, 'file'));
});

test('a link is followed, not replaced', async () => {
  const target = write('target.html', 'by us: old');
  symlinkSync(target, join(folder, 'link.html'));
  await (await opened(join(folder, 'link.html'))).write('new');
  assert.is(readFileSync(target, 'utf8'), 'new');
  assert.equal(readdirSync(folder).sort(), ['link.html', 'target.html']);
});

test('a pipe is written to, not replaced', async () => {
  const pipe = join(folder, 'pipe');
  await promisify(execFile)('mkfifo', [pipe]);
  // More than fits into a pipe at once.
  const page = 'page'.repeat(100_000);
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  const file = await opened(pipe);
  const read = readFile(pipe, 'utf8');
  await file.write(page);
  assert.is(await read, page);
  closeSync(reader);
  assert.ok(statSync(pipe).isFIFO());
});

test('a failed write has advice', async () => {
  const { why, advice } = await refusalOf((await opened('/dev/full')).write('page'), TaskError);
  assert.match(why, 'ENOSPC');
  assert.match(advice, '`--report`');
});

/** The exit code and the log of a run of a task that has this body. */
async function ran(body: () => void, settings: Partial<RunnerSettings>) {
  const graph = await graphOf(plain('a', { run: body }));
  const { exitCode, stderr } = runInProcess(graph, 1, 'no-new', { output: 'plain', ...settings });
  return { exitCode: await exitCode, shown: stderr() };
}

test('files that cannot be written, and one for both, are errors before anything runs', async () => {
  const both = join(folder, 'both');
  for (const [settings, what] of [
    [{ trace: join(folder, 'none', 'run') }, /^cannot write/],
    [{ report: both, trace: `${folder}/./both` }, `\`--report\` and \`--trace\` both name \`${both}\``],
  ] as const)
    assert.match((await refusalOf(ran(assert.unreachable, settings))).what, what);
});

test('a report that cannot be written in the end fails a run that went well, and only such a one', async () => {
  const report = join(folder, 'inner', 'run.html');
  for (const [expected, error] of [
    [1, undefined],
    [7, new TaskError({ what: 'bad luck', exitCode: 7 })],
  ] as const) {
    mkdirSync(join(folder, 'inner'));
    const body = (): void => {
      rmSync(join(folder, 'inner'), { recursive: true });
      if (error !== undefined) throw error;
    };
    const { exitCode, shown } = await ran(body, { report });
    assert.is(exitCode, expected);
    assert.match(shown, `error: cannot write \`${report}\``);
  }
});

test.run();
