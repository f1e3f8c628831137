import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isRecorded, recordSecret } from '../../../lib/vault/api/secret-record.ts';
import { failureOf } from './scripted-vault.ts';

const test = suite<{ folder: string; record: string }>('vault/secret-record');

test.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'vault-record-'));
  context.record = join(context.folder, 'reviewer.json');
});
test.after.each(async ({ folder }) => {
  await rm(folder, { recursive: true });
});

const path = 'auth/kubernetes/config';
const now = () => Math.floor(Date.now() / 1000);

/** A token as the API server makes it, without a signature. */
function boundedToken(fields: { uid: string; iat: number; exp: number }): string {
  const claims = {
    ...{ iss: 'cluster', sub: 'system:serviceaccount:vault:vault', iat: fields.iat, exp: fields.exp },
    'kubernetes.io': { serviceaccount: { uid: fields.uid } },
  };
  return ['e30', Buffer.from(JSON.stringify(claims)).toString('base64url'), `${Math.random()}`].join('.');
}

test('nothing is recorded at first, nor in a damaged file', async ({ record }) => {
  assert.not.ok(await isRecorded(record, path, 'token'));
  await writeFile(record, '{"auth');
  assert.not.ok(await isRecorded(record, path, 'token'));
});

test('a token that never expires has to be the same', async ({ record }) => {
  await recordSecret(record, path, 'token');
  assert.ok(await isRecorded(record, path, 'token'));
  assert.not.ok(await isRecorded(record, path, 'another'));
  assert.not.ok(await isRecorded(record, 'auth/other/config', 'token'));
  assert.is((await stat(record)).mode & 0o777, 0o600);
});

test('a new expiring token of the same account counts as the recorded one', async ({ record }) => {
  const times = { iat: now() - 100, exp: now() + 1000 };
  await recordSecret(record, path, boundedToken({ uid: 'a', ...times }));
  assert.ok(await isRecorded(record, path, boundedToken({ uid: 'a', iat: now(), exp: now() + 3600 })));
});

test('an expiring token of a recreated account does not', async ({ record }) => {
  const times = { iat: now(), exp: now() + 1000 };
  await recordSecret(record, path, boundedToken({ uid: 'a', ...times }));
  assert.not.ok(await isRecorded(record, path, boundedToken({ uid: 'b', ...times })));
});

test('an expiring token is renewed after half of its remaining time', async ({ record }) => {
  const token = boundedToken({ uid: 'a', iat: 0, exp: 1000 });
  await recordSecret(record, path, token, 600);
  assert.ok(await isRecorded(record, path, token, 799));
  assert.not.ok(await isRecorded(record, path, token, 801));
  await recordSecret(record, path, token, 801);
  assert.ok(await isRecorded(record, path, token, 802));
});

test('an expired token is an error, not a change in every run', async ({ record }) => {
  const token = boundedToken({ uid: 'a', iat: 0, exp: 1000 });
  const failure = await failureOf(recordSecret(record, path, token, 1000));
  assert.is(failure.what, `the token for ${path} has expired`);
});

test.run();
