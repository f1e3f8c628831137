import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
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
const at = (...path: readonly string[]): string => join(folder, ...path);
function write(name: string, text: string): string {
  fs.writeFileSync(at(name), text);
  return at(name);
}

test('a file is for its owner alone; until the new one is whole, nothing changes', async () => {
  const path = at('run.html');
  const file = await opened(path);
  assert.equal(fs.readdirSync(folder), []);
  await file.write('by us: old');
  const again = await opened(path);
  assert.is(fs.readFileSync(path, 'utf8'), 'by us: old');
  await again.write('new');
  assert.equal(fs.readdirSync(folder), ['run.html']);
  assert.is(fs.readFileSync(path, 'utf8'), 'new');
  assert.is(fs.statSync(path).mode & 0o777, 0o600);
});

test('what cannot be written is refused with the reason', async () => {
  const other = '<!doctype html>';
  for (const [name, text] of Object.entries({ file: '', 'other.html': other })) write(name, text);
  fs.mkdirSync(at('inner'));
  fs.symlinkSync('nothing', at('dangling'));
  await promisify(execFile)('mkfifo', [at('pipe')]);
  for (const [path, why] of [
    [at('none', 'run.html'), `there is no folder \`${at('none')}\``],
    [at('file', 'run.html'), `\`${at('file')}\` is not a folder`],
    [at('inner'), 'it is a folder'],
    [at('pipe'), 'no program reads this pipe'],
    [at('dangling'), 'it is a link to nothing'],
    ['-', 'it is not a file name'],
    [at('other.html'), '`--report` has not written this file'],
  ] as const)
    assert.is((await refused(path)).why, why);
  assert.match((await refused('-')).advice, '/dev/stdout');
  assert.equal(fs.readdirSync(folder).sort(), ['dangling', 'file', 'inner', 'other.html', 'pipe']);
  assert.is(fs.readFileSync(at('other.html'), 'utf8'), other);
  // An empty one may be replaced.
  await opened(at('file'));
});

test('a link is followed, not replaced', async () => {
  const target = write('target.html', 'by us: old');
  fs.symlinkSync(target, at('link.html'));
  await (await opened(at('link.html'))).write('new');
  assert.is(fs.readFileSync(target, 'utf8'), 'new');
  assert.equal(fs.readdirSync(folder).sort(), ['link.html', 'target.html']);
});

test('a pipe is written to, not replaced', async () => {
  const pipe = at('pipe');
  await promisify(execFile)('mkfifo', [pipe]);
  // More than fits into a pipe at once.
  const page = 'page'.repeat(100_000);
  const reader = fs.openSync(pipe, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  const file = await opened(pipe);
  const read = readFile(pipe, 'utf8');
  await file.write(page);
  assert.is(await read, page);
  fs.closeSync(reader);
  assert.ok(fs.statSync(pipe).isFIFO());
});

test('a failed write has advice', async () => {
  const { why, advice } = await refusalOf((await opened('/dev/full')).write('page'), TaskError);
  assert.match(why, 'ENOSPC');
  assert.match(advice, '`--report`');
});

async function ran(body: () => void, settings: Partial<RunnerSettings>) {
  const graph = await graphOf(plain('a', { run: body }));
  const { exitCode, stderr } = runInProcess(graph, 1, 'no-new', { output: 'plain', ...settings });
  return { exitCode: await exitCode, shown: stderr() };
}

test('files that cannot be written, and one for both, are errors before anything runs', async () => {
  const both = at('both');
  for (const [settings, what] of [
    [{ trace: at('none', 'run') }, /^cannot write/],
    [{ report: both, trace: `${folder}/./both` }, `\`--report\` and \`--trace\` both name \`${both}\``],
  ] as const)
    assert.match((await refusalOf(ran(assert.unreachable, settings))).what, what);
});

test('a report that cannot be written in the end fails a run that went well, and only such a one', async () => {
  const report = at('inner', 'run.html');
  for (const [expected, error] of [
    [1, undefined],
    [7, new TaskError({ what: 'bad luck', exitCode: 7 })],
  ] as const) {
    fs.mkdirSync(at('inner'));
    const body = (): void => {
      fs.rmSync(at('inner'), { recursive: true });
      if (error !== undefined) throw error;
    };
    const { exitCode, shown } = await ran(body, { report });
    assert.is(exitCode, expected);
    assert.match(shown, `error: cannot write \`${report}\``);
  }
});

test.run();
