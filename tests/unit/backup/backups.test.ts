import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { databasePrograms } from '../../../lib/backup/database-programs.ts';
import { dumpFile, readRecord, writeRecord } from '../../../lib/backup/database-record.ts';
import { checkNewPlace, digestOf, existingPlace, newPlace, wholeFolder } from '../../../lib/backup/place.ts';
import { restoreDatabase } from '../../../lib/backup/restore-database.ts';
import { checkSnapshot } from '../../../lib/backup/vault.ts';
import { readStoredKeys } from '../../../lib/backup/vault-keys.ts';
import type { Context } from '../../../lib/settings/context.ts';
import { answeringShell } from '../../rig/answering-shell.ts';
import { failureOf, targetOf, taskContext } from '../../rig/task-context.ts';

const test = suite<{ folder: string }>('backups');
test.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'backups-'));
});
test.after.each(({ folder }) => rm(folder, { recursive: true }));

test('a backup is at its place only when it is whole; a failed one leaves nothing', async ({ folder }) => {
  const place = join(folder, 'above', 'backup');
  const failed = await failureOf(
    wholeFolder(place, async (partial) => {
      await writeFile(join(partial, 'half'), '');
      assert.not.ok(existsSync(place));
      throw new Error('no space left');
    }),
  );
  assert.is(failed.message, 'no space left');
  assert.equal(await readdir(join(folder, 'above')), []);
  await wholeFolder(place, (partial) => writeFile(join(partial, 'whole'), ''));
  assert.equal(await readdir(place), ['whole']);
  assert.is((await stat(place)).mode & 0o777, 0o700);
});

test('the folder for an unfinished backup is never replaced: it may be somebody’s', async ({ folder }) => {
  const place = join(folder, 'backup');
  const note = join(`${place}.partial`, 'note');
  await mkdir(`${place}.partial`);
  await writeFile(note, 'mine');
  const refused = await failureOf(checkNewPlace(place));
  assert.is(refused.what, `${place}.partial already exists`);
  assert.match(refused.advice, 'remove it');
  await failureOf(wholeFolder(place, async () => undefined));
  assert.is(await readFile(note, 'utf8'), 'mine');
});

test('a backup goes to a new folder, by default in the state folder; a restore needs an existing one', async ({
  folder,
}) => {
  const { environment } = await targetOf({ env: 'development', provider: 'embedded' });
  assert.match(
    newPlace(environment, 'vault', undefined),
    /\.state\/development\/backups\/vault-\d{8}T\d{6}Z$/,
  );
  assert.is(newPlace(environment, 'vault', folder), folder);
  assert.match((await failureOf(checkNewPlace(folder))).what, 'already exists');
  assert.is(await existingPlace(folder), folder);
  await checkNewPlace(join(folder, 'new'));
  await writeFile(join(folder, 'file'), '');
  assert.match((await failureOf(checkNewPlace(join(folder, 'file/new')))).why, 'file is a file');
  for (const name of ['file', 'nothing'])
    assert.is((await failureOf(existingPlace(join(folder, name)))).exitCode, 2);
});

test('only a whole backup is restored', async ({ folder }) => {
  const refusal = async () => (await failureOf(readRecord(folder))).why;
  assert.match(await refusal(), 'it has no backup.json');
  const file = dumpFile(folder, 'app1');
  await writeFile(file, 'dump');
  const app1 = { digest: await digestOf(file), roles: ['app1'], rows: { 'public.notes': 2 } };
  const record = { environment: 'development', time: '', server: '17.6', databases: { app1 } };
  await writeRecord(folder, record);
  assert.equal(await readRecord(folder), record);
  assert.is((await stat(join(folder, 'backup.json'))).mode & 0o777, 0o600);
  await writeFile(file, 'dum');
  assert.match(await refusal(), 'app1.dump was changed or is incomplete');
  await rm(file);
  assert.match(await refusal(), 'it has no app1.dump');
  await writeFile(join(folder, 'backup.json'), '{"databases"');
  assert.match(await refusal(), 'backup.json cannot be read');
});

test('a backup with databases of removed applications names them and the rest', async ({ folder }) => {
  await writeFile(dumpFile(folder, 'x'), '');
  const entry = { digest: await digestOf(dumpFile(folder, 'x')), roles: [], rows: {} };
  const names = ['app1', 'gone', 'old', 'app2'];
  for (const name of names) await writeFile(dumpFile(folder, name), '');
  const databases = Object.fromEntries(names.map((name) => [name, entry]));
  await writeRecord(folder, { environment: 'development', time: '', server: '17.6', databases });
  const target = await targetOf({ env: 'development', provider: 'embedded' });
  const { database } = target.settings;
  const applications = { ...database.applications, old: null };
  const settings = { ...target.settings, database: { ...database, applications } };
  const context: Context = { ...taskContext({}), ...target, settings };
  const restore = (...databases: string[]) =>
    failureOf(restoreDatabase(context, { folder, databases, replace: false }));
  const { what, advice, exitCode } = await restore();
  assert.match(what, /that do not exist: gone, old$/);
  assert.match(advice, `restore-database ${folder} app1 app2`);
  assert.is(exitCode, 2);
  assert.match((await restore('app1', 'old')).what, /that do not exist: old$/);
});

test('the error says whether a snapshot is missing, incomplete, or could not be unpacked', async ({
  folder,
}) => {
  const file = join(folder, 'raft.snap');
  const saying = (stderr: string) => {
    const $ = answeringShell(() => ({ exitCode: 2, stderr }));
    return failureOf(checkSnapshot({ ...taskContext({}, [], folder), $ }, file));
  };
  await mkdir(join(folder, '.state/development'), { recursive: true });
  assert.is((await saying('')).why, 'there is no such file');
  await writeFile(file, '');
  const cutOff = await saying(
    '\ngzip: stdin: unexpected end of file\ntar: Error is not recoverable: exiting now\n',
  );
  assert.equal(
    [cutOff.what, cutOff.why],
    [`${file} is no whole snapshot of Vault`, 'it is incomplete, or no snapshot at all'],
  );
  const full = await saying('tar: state.bin: Cannot write: No space left on device\n');
  assert.match(full.what, '`tar -xzf');
  assert.match(full.why, 'No space left');
});

test('the error says whether the keys beside a snapshot are damaged or not encrypted', async ({ folder }) => {
  const $ = answeringShell(() => ({ exitCode: 1, stderr: 'sops metadata not found' }));
  const reading = (text: string) =>
    writeFile(join(folder, 'keys.yaml'), text).then(() =>
      failureOf(readStoredKeys({ ...taskContext({}, [], folder), $ }, folder)),
    );
  const plain = await reading('unseal_keys_b64: [a2V5]\n');
  assert.match(plain.what, 'keys.yaml is not encrypted');
  assert.match(plain.advice, `--in-place ${folder}/keys.yaml`);
  assert.not.match(JSON.stringify(plain), 'a2V5');
  assert.match((await reading('unseal_keys_b64: ["ENC[AES256_GCM,data:x]"]\n')).advice, 'another copy');
});

test('in a pod, the password comes on stdin, and a failure shows pg_dump’s own message', async ({
  folder,
}) => {
  const commands: string[] = [];
  const $ = answeringShell((command) => {
    commands.push(command);
    return {
      exitCode: 1,
      stderr: 'pg_dump: error: permission denied for table notes\ncommand terminated with exit code 1\n',
    };
  });
  const context: Context = {
    ...taskContext({}),
    ...(await targetOf({ env: 'lab', provider: 'existing', context: 'lab' })),
    $,
  };
  const programs = await databasePrograms(context, { password: 'pass word', version: '17.6' });
  const failed = await failureOf(programs.dump('app1', join(folder, 'app1.dump')));
  assert.is(failed.what, 'the database app1 could not be dumped');
  assert.is(failed.why, 'pg_dump: error: permission denied for table notes');
  assert.match(commands[0] ?? '', 'exec -i svc/postgresql -- sh -c IFS= read -r PGPASSWORD');
  // cat notices a full disk.
  assert.match(commands[0] ?? '', / \| cat > \S+\/app1\.dump$/);
  assert.not.match(commands.join(), 'pass word');
  assert.is((await stat(join(folder, 'app1.dump'))).mode & 0o777, 0o600);
  assert.is(await readFile(join(folder, 'app1.dump'), 'utf8'), '');
});

test.run();
