import { execFile } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
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
import { openReportFile } from '../../../report/report-file.ts';
import { folder, useFolder } from '../../rig/folder.ts';
import { refusalOf } from '../../rig/refusal.ts';

useFolder(test);

const opened = (path: string) => openReportFile(path, '--report', 'by us');
const refused = (path: string) => refusalOf(opened(path));

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
  writeFileSync(join(folder, 'file'), '');
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
  ] as const)
    assert.is((await refused(path)).why, why);
  assert.match((await refused('-')).advice, '/dev/stdout');
  assert.equal(readdirSync(folder).sort(), ['dangling', 'file', 'inner', 'pipe']);
});

test('a file that is not an earlier report is not replaced', async () => {
  const path = join(folder, 'index.html');
  writeFileSync(path, '');
  await opened(path);
  writeFileSync(path, '<!doctype html>');
  assert.is((await refused(path)).why, '`--report` has not written this file');
  assert.is(readFileSync(path, 'utf8'), '<!doctype html>');
});

test('a link is followed, not replaced', async () => {
  const target = join(folder, 'target.html');
  writeFileSync(target, 'by us: old');
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

test.run();
