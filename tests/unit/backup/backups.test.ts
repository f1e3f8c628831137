import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkDumps, dumpFile, openBackup, writeRecord } from '../../../lib/backup/database.ts';
import { databasePrograms } from '../../../lib/backup/database-programs.ts';
import {
  checkNewPlace,
  checksumOf,
  existingPlace,
  newPlace,
  wholeFolder,
} from '../../../lib/backup/place.ts';
import { checkSnapshot, readStoredKeys } from '../../../lib/backup/vault.ts';
import { folder, useFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { answeringShell, fails, failureOf, settledContext, taskContext } from '../../rig/task-context.ts';

useFolder(test);

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;
const given = await settledContext({});

test('a backup is at its place only when it is whole; a failed one leaves nothing', async () => {
  const place = join(folder, 'above', 'backup');
  const failing = wholeFolder(place, async (partial) => {
    await writeFile(join(partial, 'half'), '');
    assert.not.ok(existsSync(place));
    throw new Error('no space left');
  });
  assert.is((await failureOf(failing)).message, 'no space left');
  assert.equal(await readdir(join(folder, 'above')), []);
  await wholeFolder(place, (partial) => writeFile(join(partial, 'whole'), ''));
  assert.equal([await readdir(place), await modeOf(place)], [['whole'], 0o700]);
  // An unfinished one is never replaced: it may be somebody's.
  const other = join(folder, 'other');
  await mkdir(`${other}.partial`);
  await fails(checkNewPlace(other), { what: `${other}.partial already exists`, advice: /remove it/ });
  await failureOf(wholeFolder(other, async () => undefined));
  assert.ok(existsSync(`${other}.partial`));
});

test('a backup goes to a new folder, by default in the state folder; a restore needs an existing one', async () => {
  const placeOf = (named?: string) => newPlace(given.environment, 'vault', named);
  assert.match(placeOf(), /\.state\/development\/backups\/vault-\d{8}T\d{6}Z$/);
  assert.is(placeOf(folder), folder);
  await fails(checkNewPlace(folder), { what: /already exists/ });
  await fails(existingPlace(folder, 'raft.snap'), { why: /^it has no raft\.snap/ });
  await checkNewPlace(join(folder, 'new'));
  await writeFile(join(folder, 'file'), '');
  assert.is(await existingPlace(folder, 'file'), folder);
  await fails(checkNewPlace(join(folder, 'file/new')), { why: /file is a file/ });
  for (const name of ['file', 'nothing'])
    await fails(existingPlace(join(folder, name), 'file'), { exitCode: 2 });
});

test('only a whole backup is restored', async () => {
  const read = async () => {
    const { record } = await openBackup(given, { folder, databases: [] });
    await checkDumps(folder, record);
    return record;
  };
  const refused = (why: RegExp) => fails(read(), { why });
  const file = dumpFile(folder, 'app1');
  await writeFile(file, 'dump');
  const app1 = { digest: await checksumOf(file), roles: ['app1'], rows: { 'public.notes': 2 } };
  const record = { environment: 'development', time: '', server: '17.6', databases: { app1 } };
  await writeRecord(folder, record);
  assert.equal(await read(), record);
  assert.is(await modeOf(join(folder, 'backup.json')), 0o600);
  await writeFile(file, 'dum');
  await refused(/app1\.dump was changed or is incomplete/);
  await rm(file);
  await refused(/it has no app1\.dump/);
  await writeFile(join(folder, 'backup.json'), '{"databases"');
  await refused(/backup\.json cannot be read/);
});

test('a backup with databases of removed applications names them and the rest', async () => {
  const names = ['app1', 'gone', 'old', 'app2'];
  for (const name of names) await writeFile(dumpFile(folder, name), '');
  const entry = { digest: await checksumOf(dumpFile(folder, 'app1')), roles: [], rows: {} };
  const databases = Object.fromEntries(names.map((name) => [name, entry]));
  await writeRecord(folder, { environment: 'development', time: '', server: '17.6', databases });
  const { database } = given.settings;
  const applications = { ...database.applications, old: null };
  const settings = { ...given.settings, database: { ...database, applications } };
  const context = { ...given, settings };
  const restore = (...databases: string[]) => openBackup(context, { folder, databases });
  const advice = new RegExp(`restore-database ${folder} app1 app2`);
  await fails(restore(), { what: /that do not exist: gone, old$/, advice, exitCode: 2 });
  await fails(restore('app1', 'other'), { what: 'the backup has no database `other`' });
  await fails(restore('app1', 'old'), { what: /that do not exist: old$/ });
});

test('a snapshot that could not be unpacked need not be damaged', async () => {
  const file = join(folder, 'raft.snap');
  const checking = (stderr: string) => {
    const $ = answeringShell(() => ({ exitCode: 2, stderr }));
    return checkSnapshot({ ...taskContext({}, folder), $ }, file);
  };
  await mkdir(join(folder, '.state/development'), { recursive: true });
  await writeFile(file, '');
  const full = 'tar: state.bin: Cannot write: No space left on device\n';
  await fails(checking(full), { what: /`tar -xzf/, why: /No space left/ });
});

test('the error says whether the keys beside a snapshot are damaged or not encrypted', async () => {
  const $ = answeringShell(() => ({ exitCode: 1, stderr: 'sops metadata not found' }));
  const reading = async (text: string) => {
    await writeFile(join(folder, 'keys.yaml'), text);
    return readStoredKeys({ ...taskContext({}, folder), $ }, folder);
  };
  const plain = await fails(reading('unseal_keys_b64: [a2V5]\n'), {
    what: /keys\.yaml is not encrypted/,
    advice: new RegExp(`--in-place ${folder}/keys.yaml`),
  });
  assert.not.match(JSON.stringify(plain), 'a2V5');
  await fails(reading('unseal_keys_b64: ["ENC[AES256_GCM,data:x]"]\n'), { advice: /another copy/ });
});

test('in a pod, the password comes on stdin, and a failure shows pg_dump’s own message', async () => {
  const why = 'pg_dump: error: query failed: ERROR:  permission denied for table notes';
  const commands: string[] = [];
  const $ = answeringShell((command) => {
    commands.push(command);
    return {
      exitCode: 1,
      stderr: `${why}\npg_dump: detail: Query was: SELECT\n1\ncommand terminated with exit code 1\n`,
    };
  });
  const lab = await settledContext({ env: 'lab', provider: 'existing', context: 'lab' });
  const { dump } = await databasePrograms({ ...lab, $ }, { password: 'pass word', version: '17.6' });
  await fails(dump('app1', join(folder, 'app1.dump')), {
    what: 'the database app1 could not be dumped',
    why,
  });
  assert.match(commands[0] ?? '', 'exec -i svc/postgresql -- sh -c IFS= read -r PGPASSWORD');
  // cat notices a full disk.
  assert.match(commands[0] ?? '', / \| cat > \S+\/app1\.dump$/);
  assert.not.match(commands.join(), 'pass word');
  const { mode, size } = await stat(join(folder, 'app1.dump'));
  assert.equal([mode & 0o777, size], [0o600, 0]);
});

test.run();
