import { copyFile, cp, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { readStoredKeys, writeKeys } from '../../../lib/backup/vault.ts';
import { root } from '../../../lib/ground/project.ts';
import { importKeys } from '../../../lib/secrets/keyring.ts';
import { rotateKeys, rotateKeysCommands } from '../../../lib/secrets/rotate.ts';
import {
  digestsOf,
  dropStaged,
  isSealed,
  putInPlace,
  sealStaged,
  stage,
} from '../../../lib/secrets/staged-files.ts';
import { findProgram } from '../../rig/programs.ts';
import { fails, settledContext } from '../../rig/task-context.ts';
import { makeSandbox, readText } from '../sandbox.ts';
import { inKeyring, makeKey, openedBy, withKeys } from './keyring.ts';

/* Keys of SOPS with the real gpg and sops; no cluster. The tests build on each other and run in this order. */

const test = suite('rotate-keys');
const sandbox = await makeSandbox();
sandbox.removeAfter(test, 'development');
/** A copy of the initial key, outside the sandbox's folder. */
const oldKey = `${sandbox.home}/old.asc`;
const ownKey = `${sandbox.home}/keys/own.asc`;
const vaultKeys = { unseal_keys_b64: ['a key of Vault'] };

const file = 'environments/development/secrets/database.yaml';
const other = 'environments/staging/secrets/database.yaml';
const lab = 'environments/lab/secrets/database.yaml';
const rules = '.sops.yaml';
const parameters = 'sops/new-key.txt';
const oldFingerprint = '9A48DF663A2A48118E9A15F27971F8B9DCB2DC3C';
const backup = '7391ED9669BE079245196E270E084F89DA0EFFF6';
const developmentKey = 'sops/development-operational.asc';
const halves = [developmentKey, 'sops/development-operational.public.asc'];

const read = (name: string) => readText(sandbox.path(name));
const write = (name: string, text: string) => writeFile(sandbox.path(name), text);
const replace = async (name: string, from: string | RegExp, to: string) =>
  write(name, (await read(name)).replace(from, to));

const recipients = async (name: string): Promise<string[]> => {
  const { sops } = parse(await read(name)) as { sops: { pgp: { fp: string }[] } };
  return sops.pgp.map(({ fp }) => fp).sort();
};

/** Content by name of everything that a rotation replaces. */
const everything = async (): Promise<Map<string, string>> => {
  const keys = (await readdir(sandbox.path('sops'))).map((name) => `sops/${name}`);
  const names = [rules, file, other, ...keys];
  return new Map(await Promise.all(names.map(async (name) => [name, await read(name)] as const)));
};

const secretKeys = async (): Promise<string[]> => {
  const listed = await inKeyring(sandbox, 'gpg', '--with-colons', '--list-secret-keys');
  return [...listed.matchAll(/^sec:.*\n(?:fpr|grp):+([0-9A-F]{40}):/gm)].map(([, found = '']) => found);
};

async function prepared() {
  const context = await settledContext({}, sandbox.folder);
  await importKeys(context);
  return context;
}

async function rotate(keyFile?: string): Promise<string> {
  const context = await prepared();
  const failure = await rotateKeys(context, keyFile)
    .then(() => undefined)
    .catch(({ what, why, advice }) => `error: ${what}\nwhy: ${why}\ndo: ${advice}`);
  await context.end('done');
  return failure ?? [...context.logged, ...context.printed].join('\n');
}

/** An error of a rotation, which changes nothing. */
async function failed(keyFile?: string): Promise<string> {
  const before = [await everything(), await secretKeys()];
  const said = await rotate(keyFile);
  assert.match(said, /^error: /);
  assert.equal([await everything(), await secretKeys()], before);
  assert.equal(await readdir(sandbox.path('.state')), ['development']);
  return said;
}

/** Keys of elliptic curves, which take no time to create. */
const fastKeys = async () => {
  await replace(parameters, /(Key|Subkey)-Type: RSA\n.*\n/g, '$1-Type: $1\n');
  await replace(parameters, 'Type: Key', 'Type: EDDSA\nKey-Curve: ed25519');
  await replace(parameters, 'Type: Subkey', 'Type: ECDH\nSubkey-Curve: cv25519');
};

/** The values of a secrets file that a key opens, by default that of the project; undefined if it does not. */
const opened = (name: string, key = sandbox.path(developmentKey)) => openedBy(sandbox, [key], name);

const setPassword = (name: string, value: string) =>
  inKeyring(sandbox, 'sops', 'set', name, '["password"]', `"${value}"`);

await cp(sandbox.path('environments/development'), sandbox.path('environments/staging'), { recursive: true });
await copyFile(sandbox.path(developmentKey), oldKey);
const oldPassword = await opened(file, oldKey);
assert.ok(oldPassword);
await fastKeys();
await (await prepared()).end('done');

test('a file that cannot be opened changes nothing', async () => {
  const whole = await read(other);
  await replace(other, /data:\w{4}/, 'data:AAAA');
  assert.match(await failed(), `error: ${other} is damaged`);
  assert.equal(await secretKeys(), [oldFingerprint]);
  await write(other, 'password: plain\n');
  assert.match(await failed(), `error: ${other} is not encrypted`);
  await write(other, whole);
});

/** What a rotation says if calls of gpg first do something else. */
async function saidIf(when: string, then: string, run = failed): Promise<string> {
  const { PATH } = process.env;
  const bin = `${sandbox.home}/bin`;
  await mkdir(bin, { recursive: true });
  const gpg = findProgram('GPG', 'gpg');
  const script = `#!/bin/sh\ncase "$*" in *${when}*) ${then};; esac\nexec ${gpg} "$@"\n`;
  await writeFile(`${bin}/gpg`, script, { mode: 0o755 });
  process.env.PATH = `${bin}:${PATH}`;
  const text = await run();
  process.env.PATH = PATH;
  return text;
}

test('a private half that gpg leaves out of its export does not replace the old one', async () => {
  // The newest files belong to the new key.
  const lose = (parts: number) =>
    `cd "$GNUPGHOME/private-keys-v1.d"; rm $(ls -t | head -n ${parts}); cd - > /dev/null`;
  const what = 'error: gpg exported only a part of the new key; nothing was changed';
  assert.match(await saidIf('--export-secret-keys', lose(2)), `${what}\nwhy: it is empty`);
  assert.match(await saidIf('--export-secret-keys', lose(1)), what);
  assert.match(await saidIf('--export\\ ', 'exit 0'), /error: `gpg --export .*` gave no readable answer/);
  const silent = await saidIf('--generate-key', 'exit 0');
  assert.match(silent, 'error: `gpg --generate-key` gave no readable answer');
  assert.not.match(silent, 'new-key.txt');
});

test('a run removes what a killed one left; the new key opens all files, and the old one none', async () => {
  const generate = '--batch --status-fd 1 --passphrase  --quick-generate-key abandoned future-default';
  const created = await inKeyring(sandbox, 'gpg', ...generate.split(' '));
  const abandoned = /KEY_CREATED \w ([0-9A-F]{40})/.exec(created)?.[1] ?? '';
  assert.equal((await secretKeys()).sort(), [oldFingerprint, abandoned].sort());
  await mkdir(sandbox.path('.state/.key-rotation'));
  await write('.state/.key-rotation/new-key', abandoned);
  await copyFile(join(root, parameters), sandbox.path(parameters));
  await writeKeys(await prepared(), sandbox.home, vaultKeys);
  const rotation = await sandbox.succeeds('rotate-keys', '--yes');
  assert.match(rotation.stdout, /earlier backups of Vault .* back up Vault again: .*backup-vault/);
  await fastKeys();
  const named = /commit these together: (.*)/.exec(rotation.stdout)?.[1]?.split(' ');
  const all = [rules, file, lab, other, 'sops/development-keys.yaml', ...halves];
  assert.equal(named?.sort(), all.sort());
  const [fresh = '', ...others] = await secretKeys();
  assert.equal(others, []);
  assert.not.ok([abandoned, oldFingerprint].includes(fresh));
  for (const name of [file, other]) {
    assert.equal(await recipients(name), [fresh, backup].sort());
    assert.is(await opened(name), oldPassword);
    assert.is(await opened(name, oldKey), undefined);
  }
  const original = await readText(join(root, rules));
  assert.is(await read(rules), original.replace(oldFingerprint, fresh), 'comments and the backup key stay');
});

test('a backup of Vault from before names the keys that open it, and the old one does', async () => {
  await fails(readStoredKeys(await prepared(), sandbox.home), {
    why: `it is encrypted for other keys than yours: ${oldFingerprint}, ${backup}`,
    advice: /SOPS_PGP_KEY_FILE.* the backup key, or the operational key from before/,
  });
  process.env.SOPS_PGP_KEY_FILE = oldKey;
  try {
    assert.equal(
      (await readStoredKeys(await prepared(), sandbox.home))?.unseal_keys_b64,
      vaultKeys.unseal_keys_b64,
    );
  } finally {
    delete process.env.SOPS_PGP_KEY_FILE;
  }
  await inKeyring(sandbox, 'gpg', '--batch', '--yes', '--delete-secret-and-public-key', oldFingerprint);
});

test('a new data key is created, not only a new envelope for the old one', async () => {
  // With the old data key, the old file's key would decrypt the new file's values.
  const [before = ''] = /^password: .*$/m.exec(await read(file)) ?? [];
  const mixed = 'environments/staging/secrets/mixed.yaml';
  await write(mixed, (await readText(join(root, file))).replace(/^password: .*$/m, before));
  const { stderr } = await withKeys(sandbox, [oldKey], 'sops', 'decrypt', mixed);
  assert.match(stderr, /authentication failed|Could not decrypt/);
  await rm(sandbox.path(mixed));
});

test('the files of the development key are replaced and describe themselves', async () => {
  const [fresh = ''] = await secretKeys();
  for (const name of halves) {
    const text = await read(name);
    assert.match(text, /^DEVELOPMENT ONLY\..*\n\n-----BEGIN/);
    assert.is(text.includes('PRIVATE KEY'), name === developmentKey);
    const shown = await withKeys(sandbox, [], 'gpg', '--with-colons', '--show-keys', name);
    assert.match(shown.stdout, `:${fresh}:`);
    assert.match(shown.stdout, '(DEVELOPMENT ONLY)');
    // the kind and size of the old key
    assert.match(shown.stdout, /^(sec|pub):.:3072:1:/m);
  }
  const known = parse(await read('sops/development-keys.yaml')) as string[];
  assert.ok(known.includes(fresh) && known.includes(oldFingerprint));
  assert.is((await stat(sandbox.path(developmentKey))).mode & 0o777, 0o644);
});

const [one, two] = [sandbox.path('one'), sandbox.path('two')];

/** Stages new texts for two files, as a run that was killed before it replaced them. */
async function staged(second = 'two'): Promise<void> {
  const { folder } = sandbox;
  await dropStaged(folder);
  await stage(folder, 'one', 'new one');
  await stage(folder, second, 'new two');
  // All secrets files count as added, encrypted for other keys.
  await stage(folder, 'new-key', 'none');
  await stage(folder, rules, await read(rules));
  await sealStaged(folder, await digestsOf(folder, ['one', second]));
}

test('the next run finishes a rotation that was killed while it replaced files', async () => {
  await write('one', 'new one');
  await write('two', 'old two');
  await staged();
  const before = await everything();
  assert.match(await rotate(), 'the interrupted rotation is finished');
  assert.is(await readText(two), 'new two');
  assert.equal(await everything(), before);
  assert.not.ok((await readdir(sandbox.path('.state'))).includes('.key-rotation'));
});

test('the rotation of another version is left to it', async () => {
  await staged();
  await write('.state/.key-rotation/ready.json', '[{"file":"private.asc","target":"/own.asc","before":""}]');
  assert.match(await rotate(), /^error: .*another version .*\nwhy: .*private.asc .* is the new private half/);
  assert.ok(await isSealed(sandbox.folder));
  await dropStaged(sandbox.folder);
});

test('a killed rotation never replaces what was changed since: it begins again, or stops if that is too late', async () => {
  await write('one', 'old one');
  await write('two', 'old two');
  await staged();
  await write('two', 'changed');
  assert.match(await rotate(), /changes since: .*two.*the operational key is now/s);
  assert.equal([await readText(one), await readText(two)], ['old one', 'changed']);
  await staged();
  assert.match(await rotate(), /changes since: .*yaml.*the operational key is now/s);
  await staged();
  await write('one', 'new one');
  await write('two', 'changed again');
  assert.match(await rotate(), /^error: the rotation cannot be finished: two was changed since it began/);
  assert.is(await readText(two), 'changed again');
  await write('two', 'changed');
  assert.match(await rotate(), 'the interrupted rotation is finished');
  assert.is(await readText(two), 'new two');
});

test('a rotation that was killed after the first file takes secrets as they are now', async () => {
  const before = await everything();
  const kept = `${sandbox.home}/kept.asc`;
  await copyFile(sandbox.path(developmentKey), kept);
  await rotate();
  const names = [developmentKey, 'sops/development-keys.yaml', halves[1] ?? '', file, other, rules];
  const [fresh = ''] = await secretKeys();
  await dropStaged(sandbox.folder);
  await stage(sandbox.folder, 'new-key', fresh);
  for (const name of names) await stage(sandbox.folder, name, await read(name));
  for (const name of names.slice(1)) await write(name, before.get(name) ?? '');
  await inKeyring(sandbox, 'gpg', '--batch', '--import', kept);
  await sealStaged(sandbox.folder, await digestsOf(sandbox.folder, names));
  await setPassword(other, 'newer');
  const added = 'environments/staging/secrets/added.yaml';
  await copyFile(sandbox.path(other), sandbox.path(added));
  assert.match(await rotate(), 'the interrupted rotation is finished');
  for (const name of [other, added]) {
    assert.equal(await recipients(name), [fresh, backup].sort());
    assert.match((await opened(name)) ?? '', /^password: newer$/m);
  }
  assert.equal(await recipients(file), [fresh, backup].sort());
  assert.equal(await secretKeys(), [fresh], 'the old key is forgotten');
  await rm(sandbox.path(added));
  await copyFile(sandbox.path(file), sandbox.path(other));
});

test('a secrets file that another task writes meanwhile is for the new key, too', async () => {
  const added = 'environments/staging/secrets/added.yaml';
  const add = `cp ${sandbox.path(file)} ${sandbox.path(added)}`;
  assert.match(await saidIf('--export-secret-keys', add, rotate), /commit these together: .*added\.yaml/);
  assert.equal(await recipients(added), await recipients(file));
  await rm(sandbox.path(added));
});

test('a secrets file that another task changes after it was re-encrypted keeps the change', async () => {
  const changed = `${sandbox.home}/changed.yaml`;
  const before = await read(file);
  await setPassword(file, 'newer');
  await copyFile(sandbox.path(file), changed);
  await write(file, before);
  const begun = `[ -e ${sandbox.path('.state/.key-rotation', other)} ] && [ -e ${changed} ]`;
  const change = `${begun} && mv ${changed} ${sandbox.path(file)}`;
  assert.match(await saidIf('', change, rotate), /commit these together: .*database\.yaml/);
  assert.match((await opened(file)) ?? '', /^password: newer$/m);
  await write(file, await read(other));
});

test('if a file cannot be put in place, those before it are restored', async () => {
  await write('one', 'old one');
  // nobody can create a file there
  await staged('/proc/two');
  assert.match(String(await putInPlace(sandbox.folder).catch(String)), 'the old ones are restored');
  assert.not.ok(await isSealed(sandbox.folder));
  assert.is(await readText(one), 'old one');
  await rm(sandbox.path('.state/.key-rotation'), { recursive: true });
  assert.match(await failed('/proc/own.asc'), /^error: .*the old ones are restored$/m);
});

test('the plain commands of the dry run rotate, too, and name every part of the new key', async () => {
  const context = await prepared();
  const commands = await rotateKeysCommands(context, undefined);
  await inKeyring(sandbox, 'bash', '-euc', commands.join('\n'));
  const [fresh = '', ...others] = await secretKeys();
  assert.equal(others, []);
  assert.equal(await recipients(other), [fresh, backup].sort());
  assert.is(await opened(file), oldPassword);
  const shown = await withKeys(sandbox, [], 'gpg', '--with-colons', '--show-keys', developmentKey);
  const parts = [...shown.stdout.matchAll(/^fpr:+(\w+):$/gm)].map(([, found = '']) => found);
  const known = parse(await read('sops/development-keys.yaml')) as string[];
  assert.equal([parts[0], ...parts.filter((part) => !known.includes(part))], [fresh]);
  await context.end('done');
});

test('the private half of your own key goes to the named file, for its owner only', async () => {
  assert.match(await rotate(ownKey), /its private half is in .*own\.asc: keep it safe and out of git/);
  assert.is((await stat(ownKey)).mode & 0o777, 0o600);
  assert.match(await readText(ownKey), /PRIVATE KEY/);
  const shown = await read('sops/operational.public.asc');
  assert.match(shown, /^Operational SOPS key, public half\.\n\n-----BEGIN PGP PUBLIC KEY/);
  const [fresh = ''] = await secretKeys();
  assert.not.ok((parse(await read('sops/development-keys.yaml')) as string[]).includes(fresh));
  assert.equal(await recipients(other), [fresh, backup].sort());
  assert.is(await opened(file, ownKey), oldPassword);
});

test('the next rotation replaces it; a backup key needs its public half', async () => {
  await replace('environments/common.yaml', `key: ${developmentKey}`, `key: ${ownKey}`);
  const [before, made] = [await readText(ownKey), await makeKey(sandbox)];
  await replace(rules, backup, made.fingerprint);
  const missing =
    /changed\nwhy: \w{40}: its public half is missing\ndo: put the public half of each key into sops/;
  assert.match(await failed(), missing);
  await write('sops/backup.public.asc', made.open);
  const [old = ''] = await secretKeys();
  const said = await rotate();
  assert.match(said, `encrypted for it: ${file}`);
  assert.match(said, `the former one is kept in ${ownKey}.${old}`);
  assert.is(await readText(`${ownKey}.${old}`), before);
  assert.is((await stat(`${ownKey}.${old}`)).mode & 0o777, 0o600);
  assert.is.not(await readText(ownKey), before);
  const [fresh = ''] = await secretKeys();
  assert.equal(await recipients(file), [fresh, made.fingerprint].sort());
  assert.is(await opened(other, ownKey), oldPassword);
});

test('files of other keys stay as they are', async () => {
  const original = await readText(join(root, file));
  await write(other, original);
  assert.match(await rotate(), `unchanged, since it is encrypted for other keys: ${other}`);
  assert.is(await read(other), original);
  assert.is(await opened(file, ownKey), oldPassword);
});

test.run();
