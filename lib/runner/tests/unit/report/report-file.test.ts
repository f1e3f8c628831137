import { execFile } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UsageError } from '../../../errors.ts';
import { openReportFile } from '../../../report/report-file.ts';

let folder: string;
test.before.each(() => {
  folder = mkdtempSync(join(tmpdir(), 'report-file-'));
});
test.after.each(() => rmSync(folder, { recursive: true, force: true }));

async function refused(path: string): Promise<UsageError> {
  try {
    await openReportFile(path, '--report');
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error('was not refused');
}

test('a new file is only there once it is written, and for its owner alone', async () => {
  const path = join(folder, 'run.html');
  const file = await openReportFile(path, '--report');
  assert.equal(readdirSync(folder), []);
  await file.write('page');
  assert.equal(readdirSync(folder), ['run.html']);
  assert.is(readFileSync(path, 'utf8'), 'page');
  assert.is(statSync(path).mode & 0o777, 0o600);
});

test('an old file stays as it is until the new one is whole', async () => {
  const path = join(folder, 'run.html');
  writeFileSync(path, 'old');
  const file = await openReportFile(path, '--report');
  assert.is(readFileSync(path, 'utf8'), 'old');
  await file.write('new');
  assert.is(readFileSync(path, 'utf8'), 'new');
});

test('what cannot be written is refused with the reason', async () => {
  writeFileSync(join(folder, 'file'), '');
  mkdirSync(join(folder, 'inner'));
  assert.is(
    (await refused(join(folder, 'none', 'run.html'))).why,
    `there is no folder \`${join(folder, 'none')}\``,
  );
  assert.is(
    (await refused(join(folder, 'file', 'run.html'))).why,
    `\`${join(folder, 'file')}\` is not a folder`,
  );
  assert.is((await refused(join(folder, 'inner'))).why, 'it is a folder');
  assert.is((await refused('')).why, 'the name is empty');
  assert.match((await refused('')).advice ?? '', '--report');
  assert.equal(readdirSync(folder).sort(), ['file', 'inner']);
});

test('a link is followed, not replaced', async () => {
  const target = join(folder, 'target.html');
  writeFileSync(target, 'old');
  symlinkSync(target, join(folder, 'link.html'));
  await (await openReportFile(join(folder, 'link.html'), '--report')).write('new');
  assert.is(readFileSync(target, 'utf8'), 'new');
  assert.equal(readdirSync(folder).sort(), ['link.html', 'target.html']);
});

test('a pipe is written to, not replaced', async () => {
  const pipe = join(folder, 'pipe');
  await promisify(execFile)('mkfifo', [pipe]);
  const read = readFile(pipe, 'utf8');
  await (await openReportFile(pipe, '--report')).write('page');
  assert.is(await read, 'page');
  assert.ok(statSync(pipe).isFIFO());
});

test('a folder that has gone meanwhile is an error, and leaves nothing behind', async () => {
  const inner = join(folder, 'inner');
  mkdirSync(inner);
  const file = await openReportFile(join(inner, 'run.html'), '--report');
  rmSync(inner, { recursive: true });
  try {
    await file.write('page');
    assert.unreachable();
  } catch (error) {
    assert.is((error as NodeJS.ErrnoException).code, 'ENOENT');
  }
});

test.run();
