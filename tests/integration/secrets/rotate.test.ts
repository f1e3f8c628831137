import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { findProgram } from '../../rig/find-program.ts';
import { makeSandbox, readText, type Sandbox } from '../sandbox.ts';
import { inKeyring, openedBy, withKeys } from './keyring.ts';

/* Keys of SOPS with the real gpg and sops; no cluster. The tests build on each other and run in this order. */

const test = suite('rotate-keys');
let sandbox: Sandbox;
/** Copies of the initial files, outside the sandbox's folder. */
let oldKey: string;
let oldPassword: string | undefined;

const file = 'environments/development/secrets/database.yaml';
const other = 'environments/staging/secrets/database.yaml';
const rules = '.sops.yaml';
const oldFingerprint = '9A48DF663A2A48118E9A15F27971F8B9DCB2DC3C';
const backup = '7391ED9669BE079245196E270E084F89DA0EFFF6';
const developmentKey = 'sops/development-operational.asc';

const recipients = async (name: string): Promise<string[]> => {
  const { sops } = parse(await readText(sandbox.path(name))) as { sops: { pgp: { fp: string }[] } };
  return sops.pgp.map(({ fp }) => fp).sort();
};

/** Content by name of everything that a rotation replaces. */
const everything = async (): Promise<Map<string, string>> => {
  const keys = (await readdir(sandbox.path('sops'))).map((name) => `sops/${name}`);
  const names = [rules, file, other, ...keys];
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readText(sandbox.path(name))] as const)),
  );
};

const secretKeys = async (): Promise<string[]> => {
  const { stdout } = await inKeyring(sandbox, 'gpg', '--with-colons', '--list-secret-keys');
  return [...stdout.matchAll(/^sec:.*\n(?:fpr|grp):+([0-9A-F]{40}):/gm)].map(
    ([, fingerprint]) => fingerprint ?? '',
  );
};

test.before(async () => {
  sandbox = await makeSandbox();
  await cp(sandbox.path('environments/development'), sandbox.path('environments/staging'), {
    recursive: true,
  });
  oldKey = `${sandbox.home}/old.asc`;
  await copyFile(sandbox.path(developmentKey), oldKey);
  oldPassword = await openedBy(sandbox, [oldKey], file);
  assert.ok(oldPassword);
});
test.after(() => sandbox.remove('development'));

test('a file that cannot be opened changes nothing', async () => {
  const whole = await readText(sandbox.path(other));
  await writeFile(sandbox.path(other), whole.replace(/data:\w{4}/, 'data:AAAA'));
  const before = await everything();
  const { exitCode, stderr } = await sandbox.task('rotate-keys', '--yes');
  assert.is(exitCode, 1);
  assert.match(stderr, `error: ${other} is damaged`);
  assert.equal(await everything(), before);
  assert.equal(await secretKeys(), [oldFingerprint]);
  assert.equal((await readdir(sandbox.path('.state'))).sort(), ['development']);
  await writeFile(sandbox.path(other), 'password: plain\n');
  assert.match((await sandbox.task('rotate-keys', '--yes')).stderr, `error: ${other} is not encrypted`);
  await writeFile(sandbox.path(other), whole);
});

test('a private half that gpg leaves out of its export does not replace the old one', async () => {
  const [before, keys] = [await everything(), await secretKeys()];
  const { PATH } = sandbox.env;
  const bin = `${sandbox.home}/bin`;
  await mkdir(bin);
  const said = async (when: string, then: string): Promise<string> => {
    const gpg = findProgram('GPG', 'gpg');
    const script = `#!/bin/sh\ncase "$*" in *${when}*) ${then};; esac\nexec ${gpg} "$@"\n`;
    await writeFile(`${bin}/gpg`, script, { mode: 0o755 });
    sandbox.env.PATH = `${bin}:${PATH}`;
    const { exitCode, stderr } = await sandbox.task('rotate-keys', '--yes');
    sandbox.env.PATH = PATH;
    assert.is(exitCode, 1, stderr);
    assert.equal(await everything(), before);
    assert.equal(await secretKeys(), keys);
    return stderr;
  };
  // The newest files belong to the new key.
  const lose = (parts: number) =>
    `cd "$GNUPGHOME/private-keys-v1.d"; rm $(ls -t | head -n ${parts}); cd - > /dev/null`;
  const what = 'error: gpg exported only a part of the new key; nothing was changed';
  assert.match(await said('--export-secret-keys', lose(2)), `${what}\n  why: it is empty`);
  assert.match(await said('--export-secret-keys', lose(1)), what);
  assert.match(await said('--export\\ ', 'exit 0'), /error: `gpg --export .*` gave no readable answer/);
  const silent = await said('--generate-key', 'exit 0');
  assert.match(silent, 'error: `gpg --generate-key` gave no readable answer');
  assert.not.match(silent, 'new-key.txt');
});

test('the next run removes what a killed one left', async () => {
  const { stdout } = await inKeyring(
    sandbox,
    'gpg',
    '--batch',
    '--status-fd',
    '1',
    '--passphrase',
    '',
    '--quick-generate-key',
    'abandoned',
    'future-default',
  );
  const abandoned = /KEY_CREATED \w ([0-9A-F]{40})/.exec(stdout)?.[1] ?? '';
  assert.equal((await secretKeys()).sort(), [oldFingerprint, abandoned].sort());
  await mkdir(sandbox.path('.state/.key-rotation'));
  await writeFile(sandbox.path('.state/.key-rotation/new-key'), abandoned);
  const { exitCode, stdout: stdoutOfRotation, stderr } = await sandbox.task('rotate-keys', '--yes');
  assert.is(exitCode, 0, stderr);
  const both = [developmentKey, 'sops/development-keys.yaml', 'sops/development-operational.public.asc'];
  const named = /commit these together: (.*)/.exec(stdoutOfRotation)?.[1]?.split(' ') ?? [];
  for (const name of [rules, file, other, ...both]) assert.ok(named.includes(name), name);
  const left = await secretKeys();
  assert.is(left.length, 1);
  assert.not.ok(left.includes(abandoned) || left.includes(oldFingerprint));
});

test('the new operational key opens all files of all environments, and the old one none', async () => {
  const [fresh = ''] = await secretKeys();
  for (const name of [file, other]) {
    assert.equal(await recipients(name), [fresh, backup].sort());
    assert.is(await openedBy(sandbox, [sandbox.path(developmentKey)], name), oldPassword);
    assert.is(await openedBy(sandbox, [oldKey], name), undefined);
  }
});

test('a new data key is created, not only a new envelope for the old one', async () => {
  // With the old data key, the old file's key would decrypt the new file's values.
  const [before] = /^password: .*$/m.exec(await readText(sandbox.path(file))) ?? [];
  const original = await readFile(
    new URL('../../../environments/development/secrets/database.yaml', import.meta.url),
    'utf8',
  );
  const mixed = sandbox.path('environments/staging/secrets/mixed.yaml');
  await writeFile(mixed, original.replace(/^password: .*$/m, before ?? ''));
  const { stderr } = await withKeys(sandbox, [oldKey], 'sops', 'decrypt', mixed);
  assert.match(stderr, /authentication failed|Could not decrypt/);
  await rm(mixed);
});

test('the rules name the new key and keep their comments and the backup key', async () => {
  const [fresh = ''] = await secretKeys();
  const original = await readFile(new URL('../../../.sops.yaml', import.meta.url), 'utf8');
  assert.is(await readText(sandbox.path(rules)), original.replace(oldFingerprint, fresh));
});

test('the files of the development key are replaced and describe themselves', async () => {
  const [fresh = ''] = await secretKeys();
  for (const name of [developmentKey, 'sops/development-operational.public.asc']) {
    const text = await readText(sandbox.path(name));
    assert.match(text, /^DEVELOPMENT ONLY\..*\n\n-----BEGIN/);
    assert.is(text.includes('PRIVATE KEY'), name === developmentKey);
    const shown = await withKeys(sandbox, [], 'gpg', '--with-colons', '--show-keys', name);
    assert.match(shown.stdout, `:${fresh}:`);
    assert.match(shown.stdout, '(DEVELOPMENT ONLY)');
    // the kind and size of the old key
    assert.match(shown.stdout, /^(sec|pub):.:3072:1:/m);
  }
  const known = parse(await readText(sandbox.path('sops/development-keys.yaml'))) as string[];
  assert.ok(known.includes(fresh) && known.includes(oldFingerprint));
  assert.is((await stat(sandbox.path(developmentKey))).mode & 0o777, 0o644);
});

test('import-gpg-keys imports it, also beside the old one', async () => {
  const { exitCode, stderr } = await sandbox.task('import-gpg-keys', '--env', 'staging');
  assert.is(exitCode, 0, stderr);
  assert.is((await sandbox.task('check-secrets', '--env', 'staging')).exitCode, 1, 'no repository yet');
  await sandbox.task('destroy-environment', '--yes', '--env', 'staging');
});

/** Runs a script with the sandbox's own sources. */
async function evaluate(script: string): Promise<number | null> {
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
    cwd: sandbox.folder,
    env: sandbox.env,
    stdio: 'ignore',
  });
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return exitCode;
}

/** Stages two new files for these places, then runs a last line. */
async function staging(one: string, two: string, last: string): Promise<number | null> {
  const script = `
    const staged = await import('${sandbox.path('lib/secrets/staged-files.ts')}');
    const root = '${sandbox.folder}';
    await staged.startStaging(root);
    await staged.stage(root, 'one', 'new one');
    await staged.stage(root, 'two', 'new two');
    await staged.sealStaged(root, new Map([['one', '${one}'], ['two', '${two}']]));
    ${last}`;
  return evaluate(script);
}

test('the next run finishes a rotation that was killed while it replaced files', async () => {
  const [one, two] = [sandbox.path('one'), sandbox.path('two')];
  await writeFile(one, 'new one');
  await writeFile(two, 'old two');
  assert.is(await staging(one, two, ''), 0);
  const before = await everything();
  const { exitCode, stdout, stderr } = await sandbox.task('rotate-keys', '--yes');
  assert.is(exitCode, 0, stderr);
  assert.match(stdout, 'the interrupted rotation is finished');
  assert.is(await readText(two), 'new two');
  assert.equal(await everything(), before);
  assert.not.ok((await readdir(sandbox.path('.state'))).includes('.key-rotation'));
  for (const path of [one, two]) await rm(path);
});

test('if a file cannot be put in place, those before it are restored', async () => {
  const one = sandbox.path('one');
  await writeFile(one, 'old one');
  // a path below a file cannot be created
  const last = `await staged.putInPlace(root).catch(async () => process.exit(await staged.isSealed(root) ? 9 : 7));`;
  assert.is(await staging(one, `${one}/two`, last), 7);
  assert.is(await readText(one), 'old one');
  await rm(one);

  const [before, keys] = [await everything(), await secretKeys()];
  const { exitCode, stderr } = await sandbox.task('rotate-keys', '--yes', '--key-file', '/proc/own.asc');
  assert.is(exitCode, 1);
  assert.match(stderr, /^error: .*the old ones are restored$/m);
  assert.equal(await everything(), before);
  assert.equal(await secretKeys(), keys);
});

const ownKey = (): string => `${sandbox.home}/keys/own.asc`;

test('your own key goes neither into the project nor over another file', async () => {
  for (const [place, what] of [
    ['sops/own.asc', /^error: sops\/own\.asc lies in the project\n/],
    [sandbox.path('own.asc'), /lies in the project\n/],
    [oldKey, /old\.asc already exists\n/],
  ] as const) {
    const { exitCode, stderr } = await sandbox.task('rotate-keys', '--yes', '--key-file', place);
    assert.is(exitCode, 2, place);
    assert.match(stderr, what);
  }
});

test('the private half of your own key goes to the named file, for its owner only', async () => {
  const { exitCode, stdout, stderr } = await sandbox.task('rotate-keys', '--yes', '--key-file', ownKey());
  assert.is(exitCode, 0, stderr);
  assert.match(stdout, /its private half is in .*own\.asc: keep it safe and out of git/);
  assert.is((await stat(ownKey())).mode & 0o777, 0o600);
  assert.match(await readText(ownKey()), /PRIVATE KEY/);
  const shown = await readText(sandbox.path('sops/operational.public.asc'));
  assert.match(shown, /^Operational SOPS key, public half\.\n\n-----BEGIN PGP PUBLIC KEY/);
  const [fresh = ''] = await secretKeys();
  const known = parse(await readText(sandbox.path('sops/development-keys.yaml'))) as string[];
  assert.not.ok(known.includes(fresh));
  assert.equal(await recipients(other), [fresh, backup].sort());
});

test('it is read from the setting, or from a file or text in a variable', async () => {
  const fresh = await openedBy(sandbox, [ownKey()], file);
  assert.is(fresh, oldPassword);
  const armour = await readText(ownKey());
  const common = sandbox.path('environments/common.yaml');
  const before = await readText(common);
  const decrypts = async (variables: Record<string, string>): Promise<number | null> => {
    Object.assign(sandbox.env, variables);
    await sandbox.task('destroy-environment', '--yes');
    const { exitCode } = await sandbox.task('import-gpg-keys');
    for (const name of Object.keys(variables)) delete sandbox.env[name];
    if (exitCode !== 0) return exitCode;
    return (await inKeyring(sandbox, 'sops', 'decrypt', file)).exitCode;
  };
  assert.is.not(await decrypts({}), 0);
  assert.is(await decrypts({ SOPS_PGP_KEY_FILE: ownKey() }), 0);
  assert.is(await decrypts({ SOPS_PGP_KEY: armour }), 0);
  assert.is(await decrypts({ SOPS_PGP_KEY_FILE: `${sandbox.home}/nowhere.asc` }), 1);
  await writeFile(common, before.replace(`key: ${developmentKey}`, 'key: ~/keys/own.asc'));
  assert.is(await decrypts({}), 0);
});

test('the next rotation replaces it', async () => {
  const before = await readText(ownKey());
  const { exitCode, stderr } = await sandbox.task('rotate-keys', '--yes');
  assert.is(exitCode, 0, stderr);
  assert.is.not(await readText(ownKey()), before);
  assert.is(await openedBy(sandbox, [ownKey()], other), oldPassword);
});

test('with your own backup key, production accepts the secrets', async () => {
  const refused = async (): Promise<boolean> => {
    const words = ['install-app', 'app1', '--provider', 'existing', '--context', 'team'];
    return /for a development key/.test((await sandbox.task(...words)).stderr);
  };
  assert.ok(await refused(), 'the backup key is still the one for development');
  const made = await withKeys(
    sandbox,
    [],
    'sh',
    '-c',
    'gpg --batch --quiet --passphrase "" --quick-generate-key backup future-default 2> /dev/null; gpg --batch --armor --export; gpg --list-keys --with-colons',
  );
  const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(made.stdout)?.[1] ?? '';
  await writeFile(sandbox.path(rules), (await readText(sandbox.path(rules))).replace(backup, fingerprint));
  const missing = await sandbox.task('rotate-keys', '--yes');
  assert.is(missing.exitCode, 1);
  assert.match(
    missing.stderr,
    /nothing was changed\n {2}why: [0-9A-F]{40}: its public half is missing\n {2}do: put the public half of each key into sops\//,
  );
  await writeFile(sandbox.path('sops/backup.public.asc'), made.stdout);
  const { exitCode, stderr } = await sandbox.task('rotate-keys', '--yes');
  assert.is(exitCode, 0, stderr);
  const [fresh = ''] = await secretKeys();
  assert.equal(await recipients(file), [fresh, fingerprint].sort());
  assert.not.ok(await refused());
});

test('files of other keys stay as they are', async () => {
  const original = await readFile(
    new URL('../../../environments/development/secrets/database.yaml', import.meta.url),
    'utf8',
  );
  await writeFile(sandbox.path(other), original);
  const { exitCode, stderr } = await sandbox.task('rotate-keys', '--yes');
  assert.is(exitCode, 0, stderr);
  assert.match(stderr, `unchanged, since it is encrypted for other keys: ${other}`);
  assert.is(await readText(sandbox.path(other)), original);
  assert.is(await openedBy(sandbox, [ownKey()], file), oldPassword);
});

test.run();
