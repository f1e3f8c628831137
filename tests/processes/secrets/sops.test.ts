import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import * as assert from 'uvu/assert';
import { databaseProblem } from '../../../lib/operations/servers.ts';
import { checkSecrets } from '../../../lib/secrets/check.ts';
import { notEncrypted } from '../../../lib/secrets/encrypted-file.ts';
import { explainSops } from '../../../lib/secrets/explain.ts';
import { ensureHome, importKeys, removeKeyring } from '../../../lib/secrets/keyring.ts';
import { makeSecrets } from '../../../lib/secrets/make.ts';
import { decryptValue, redactSecrets, secretFailure } from '../../../lib/secrets/sops.ts';
import { context, printing, scriptedSuite } from '../../rig/scripted-folder.ts';
import { fails, failureOf } from '../../rig/task-context.ts';

const { test, project } = scriptedSuite('sops', 'embedded', '.sops.yaml', 'environments', 'sops');

const decrypt = (): Promise<string> => decryptValue(context, 'database.yaml', 'password');

/** A sops that prints all values of the file. */
const decrypting = (password: unknown, more: object = {}): string =>
  printing({ password, app2Password: '', vaultPassword: '', ...more });

test('a decrypted value is redacted from then on', async () => {
  project.script('sops', `echo "$GNUPGHOME" >&2; ${decrypting('s3cr3t value')}`);
  assert.is(await decrypt(), 's3cr3t value');
  assert.equal(context.secrets, ['s3cr3t value']);
  const file = join(project.folder, 'environments/development/secrets/database.yaml');
  assert.equal(project.calls(), [`sops decrypt --output-type json ${file}`]);
});

test('a value that is not a text, and output that cannot be parsed, are errors that do not show it', async () => {
  for (const [answer, what] of [
    [decrypting(42798), `the value \`password\` of ${file} is not a text`],
    [printing({ app1: { password: 'hidden' } }), `\`sops decrypt ${file}\` gave no readable answer`],
    ["echo 'password: hidden'", `\`sops decrypt ${file}\` gave no readable answer`],
  ] as const) {
    project.script('sops', answer);
    assert.not.match(JSON.stringify(await fails(decrypt(), { what })), /42798|hidden/);
  }
  project.script('sops', decrypting('hidden'));
  await fails(decryptValue(context, 'database.yaml', 'app1'), { what: `${file} has no value \`app1\`` });
});

test('all values of an environment are redacted; a file that no key opens is skipped', async () => {
  project.script('sops', decrypting('first', { vaultPassword: 4, more: { list: ['second', 3] } }));
  await redactSecrets(context);
  assert.equal(context.secrets, ['first', 'second']);
  // What it does not say would show.
  project.script('sops', printing({ password: 'first' }));
  const what = /^`sops decrypt .*` gave no readable answer/;
  await fails(redactSecrets(context), { what, why: /`app2Password` of the file/ });
  project.script('sops', 'echo "Failed to get the data key" >&2; exit 128');
  await redactSecrets(context);
});

const file = 'environments/development/secrets/database.yaml';

test('a message of SOPS becomes one line, with advice', async () => {
  const closed = 'Failed to get the data key required to decrypt the SOPS file.\n\nGroup 0: FAILED\n';
  for (const [stderr, what, advice] of [
    ['MAC mismatch. File has 1, computed 2', `${file} is damaged`, /^restore environments.*from a copy/],
    [`${closed}  0A: FAILED\n    - | gpg: no key`, `no key in the keyring opens ${file}`, /sops updatekeys/],
    ['cannot operate on non-existent file', `${file} does not exist`, /make-secrets/],
  ] as const) {
    project.script('sops', `cat >&2 <<'END'\n${stderr}\nEND\nexit 128`);
    await fails(decrypt(), { what, why: /^.*$/, advice });
  }
});

test('a file in plain text is not called damaged, unlike one that lost its metadata', async () => {
  const path = join(project.folder, file);
  const whole = readFileSync(path, 'utf8');
  project.script('sops', 'echo "sops metadata not found" >&2; exit 1');
  writeFileSync(path, 'password: hunter2-hunter2\nother: ""\n');
  const { advice = '' } = await fails(decrypt(), { what: `${file} is not encrypted` });
  assert.match(advice, `tasks.ts env\`: sops encrypt --in-place ${file}; `);
  const other = file.replace('development', 'lab');
  assert.match(notEncrypted(other).advice ?? '', 'edit-secrets database.yaml --env lab`');
  writeFileSync(path, whole.slice(0, whole.indexOf('\nsops:')));
  await fails(decrypt(), { what: `${file} is damaged` });
});

test('no advice loses uncommitted changes', async () => {
  const { folder } = project;
  const git = (...words: string[]) => execFileSync('git', words, { cwd: folder, stdio: 'ignore' });
  const secrets = join(folder, file);
  const advice = async (stderr = 'MAC mismatch. File has 1, computed 2') => {
    project.script('sops', `echo '${stderr}' >&2; exit 128`);
    return (await failureOf(decrypt())).advice ?? '';
  };
  const text = readFileSync(secrets, 'utf8');
  const odd = `${dirname(file)}/our team's.yaml`;
  writeFileSync(join(folder, odd), text);
  git('init', '--quiet');
  git('add', file, odd);
  git('-c', 'user.name=a', '-c', 'user.email=a@example.com', 'commit', '--quiet', '--message', 'a file');

  assert.match(await advice(), `an older version may work: git log -p -- ${file}`);
  // The files may have any name, and the commands must be safe to paste.
  const noKey = { stdout: '', stderr: 'Failed to get the data key', exitCode: 128, signal: null };
  const word = `'${odd.replace("'", "'\\''")}'`;
  const pasted = (await explainSops(folder, odd, noKey)).advice ?? '';
  assert.match(pasted, `sops updatekeys ${word}; an older version may work: git log -p -- ${word}`);
  rmSync(join(folder, odd));
  writeFileSync(secrets, `${text}# not committed\n`);
  for (const stderr of ['MAC mismatch. File has 1, computed 2', 'Failed to get the data key']) {
    const said = await advice(stderr);
    assert.match(said, `\`git stash push -- ${file}\` restores the committed version and keeps`);
    assert.not.match(said, /git (?:checkout|restore|reset)/);
  }
  rmSync(secrets);
  assert.match(await advice('non-existent file'), `git checkout HEAD -- ${file}`);
  for (const [body, reason] of [
    ['kill -9 $$', 'ended by SIGKILL'],
    ['echo "fatal: detected dubious ownership in repository" >&2; exit 128', 'fatal: detected dubious owner'],
  ] as const) {
    project.script('git', body);
    const said = await advice('non-existent file');
    assert.match(said, `from a copy: git did not say what is committed (${reason}`);
    assert.not.match(said, 'no committed version');
  }
  project.unscript('git');
  rmSync(join(folder, '.git'), { recursive: true });
  assert.match(await advice('non-existent file'), `restore ${file} from a copy`);
});

test('a sops that is killed, or has no disk space, is named, and the file is not blamed', async () => {
  for (const [body, how, exitCode] of [
    ['kill -9 $$', 'was ended by SIGKILL', 137],
    ['echo "write: no space left on device" >&2; exit 3', 'failed with exit code 3', 3],
  ] as const) {
    const what = `\`sops decrypt ${file}\` ${how}`;
    project.script('sops', body);
    const { why, advice } = await fails(decrypt(), { what, exitCode });
    assert.not.match(`${why} ${advice}`, /damaged|git|restore/);
    // nothing would be redacted for programs that may open what we could not
    await fails(redactSecrets(context), { what });
  }
});

test('a failure of helmfile is that of the secrets file only if it cannot be decrypted', async () => {
  const failure = new TaskError({ what: 'x', why: `expand sops://${file}#/password: signal: killed` });
  project.script('sops', decrypting('value'));
  assert.is(await secretFailure(context, failure), failure);
  project.script('sops', 'echo "MAC mismatch" >&2; exit 51');
  const found = await secretFailure(context, failure);
  assert.is((found as Error & { what: string }).what, `${file} is damaged`);
});

test('a secrets file is created whole or not at all, and the rule is blamed only if sops names it', async () => {
  gpg();
  await importKeys(context);
  const made = 'environments/staging/secrets/database.yaml';
  const encrypt = `\`sops encrypt ${made}\``;
  const plain = 'echo "password: x"; echo "app2Password: x"; echo "vaultPassword: x"';
  const listed = `echo "${secretKey.replace('sec', 'pub')}"`;
  project.script('gpg', { '--list-keys': listed, '': `echo '${imported(0)}'` });
  const output =
    'for word; do [ "$last" != --output ] || out=$word; last=$word; done; [ -z "$out" ] || : > "$out"';
  const noRule = 'echo "no matching creation rules found" >&2; exit 1';
  for (const [body, what] of [
    ['echo "write: no space left on device" >&2; exit 3', `${encrypt} failed with exit code 3`],
    [noRule, `${made} cannot be encrypted for the keys of .sops.yaml`],
    ['kill -9 $$', `${encrypt} was ended by SIGKILL`],
    [plain, `${encrypt} gave no readable answer`],
    [
      `echo 'password: ENC[AES256_GCM,data:x]'; echo 'sops: { pgp: [{ fp: AB }] }'`,
      `${encrypt} gave no readable answer`,
    ],
  ] as const) {
    project.script('sops', `cat > /dev/null; ${output}; ${body}`);
    const environment = { ...context.environment, name: 'staging' };
    await fails(makeSecrets({ ...context, environment }), { what });
    assert.not.ok(existsSync(join(project.folder, made)), body);
  }
});

const fingerprint = '0123456789ABCDEF0123456789ABCDEF01234567';
/** As `gpg --with-colons` lists it: one part for everything. */
const secretKey = `sec:u:255:22:89ABCDEF01234567:1577836800::::::escESC:\nfpr:::::::::${fingerprint}:`;

const packets = ':secret key packet:\n\tversion 4\n\tkeyid: 89ABCDEF01234567';

/** What gpg prints at the end of an import. */
const imported = (keys: 0 | 1): string => `[GNUPG:] IMPORT_RES 1 0 ${keys} 0 0 0 0 0 0 1 ${keys} 0 0 0 0`;

/** A gpg whose keyring has the key once it was imported. */
const gpg = (first = ''): void =>
  project.script(
    'gpg',
    `case "$*" in
      ${first}
      *--show-keys*) echo "${secretKey}";;
      *--list-packets*) echo "${packets}";;
      *--import*) [ -e "$GNUPGHOME/imported" ] && echo '${imported(0)}' || echo '${imported(1)}'; : > "$GNUPGHOME/imported";;
    esac`,
  );

test('the text of a key goes to gpg alone, by stdin', async () => {
  process.env.SOPS_PGP_KEY = 'armour';
  const look = `cat > "$CALLS.imported"; env | grep -c '^SOPS_' > "$CALLS.seen"`;
  gpg(`*--import) echo '${imported(1)}'; ${look}; exit 0;;`);
  try {
    assert.is(await importKeys(context), 'changed');
  } finally {
    delete process.env.SOPS_PGP_KEY;
  }
  const kept = (name: string) => readFileSync(`${process.env.CALLS}.${name}`, 'utf8').trim();
  assert.equal([kept('imported'), kept('seen')], ['armour', '0']);
  // with the public keys, so that new secrets can be encrypted for the backup key
  const publicKeys = ['backup', 'operational'].map((name) => `sops/development-${name}.public.asc`);
  assert.match(project.calls().at(-1) ?? '', `--import ${publicKeys.join(' ')}`);
});

test('status imports the given key before it checks passwords, as after a change of keys', async () => {
  gpg();
  mkdirSync(context.environment.gnupgHome, { recursive: true });
  const missing = 'Failed to get the data key required to decrypt the SOPS file.';
  project.script('sops', `[ -e "$GNUPGHOME/imported" ] || { echo '${missing}' >&2; exit 128; }; echo '{}'`);
  assert.match((await databaseProblem(context)) ?? '', 'the value `password` of the file is missing');
});

test('a gpg that fails does not blame the key', async () => {
  const shown = `*--show-keys*) echo "${secretKey}";;`;
  const listed = `${shown} *--list-packets*) echo "${packets}";;`;
  for (const [cases, what] of [
    ['', /^`gpg --show-keys .*` gave no readable answer/],
    ['*) kill -9 $$;;', /^`gpg --show-keys .*` was ended by SIGKILL$/],
    ['*) echo "out of memory" >&2; exit 1;;', /^`gpg --show-keys .*` failed with exit code 1$/],
    [`${shown} *--list-packets*) kill -9 $$;;`, /was ended by SIGKILL/],
    [shown, /^`gpg --list-packets .*` gave no readable answer/],
    [listed, /^`gpg --import .*` gave no readable answer/],
  ] as const) {
    assert.equal(project.calls('--import'), []);
    project.script('gpg', `case "$*" in ${cases} esac`);
    await fails(importKeys(context), { what });
  }
});

test('a tool that succeeds without output makes the check fail', async () => {
  const all = ['.sops.yaml', file, file.replace('development', 'lab'), 'sops/development-operational.asc'];
  const listing = `printf '%s\\0' ${all.join(' ')}`;
  const whole = printing({ password: 'a', app2Password: 'b', vaultPassword: 'c' });
  const contents = `awk '{printf "%s%c%s\\n", FILENAME, 0, $0}' ${all.join(' ')}`;
  // It shows the key of the environment, and not the one that is looked at.
  gpg('*--show-keys) exit 0;;');
  try {
    for (const [git, sops, grep, what, why] of [
      ['echo .sops.yaml | tr "\\n" "\\0"', whole, contents, /^`git ls/, /database\.yaml is missing/],
      [listing, whole, ':', /^`git grep` gave no readable answer/, /database\.yaml is/],
      [listing, "echo '{}'", contents, /^`sops decrypt .*` gave no readable/, /`password` of the file/],
      [listing, whole, contents, /^`gpg --show-keys FILE` gave no readable answer/, /./],
    ] as const) {
      project.script('git', `case "$*" in *--others*) ${git} ;; grep*) ${grep} ;; esac`);
      project.script('sops', sops);
      await fails(checkSecrets(context), { what, why });
    }
    assert.equal(context.printed, []);
  } finally {
    project.unscript('git');
  }
});

test('a keyring readable by others is made private; a writable one is refused', async () => {
  const { environment } = context;
  gpg();
  mkdirSync(environment.gnupgHome, { recursive: true });
  chmodSync(environment.gnupgHome, 0o755);
  await importKeys(context);
  assert.is(statSync(environment.gnupgHome).mode & 0o777, 0o700);
  chmodSync(environment.gnupgHome, 0o777);
  project.forget();
  const what = `${environment.gnupgHome} cannot hold a keyring`;
  const { advice } = await fails(importKeys(context), { what });
  assert.not.match(advice ?? '', 'rm ');
  assert.equal(project.calls(), []);
  const odd = join(project.folder, '..', 'a b');
  mkdirSync(odd);
  chmodSync(odd, 0o777);
  assert.match((await failureOf(ensureHome(odd))).advice ?? '', `\`chmod 700 '${odd}'\``);
});

test('an agent is stopped at the end of the run, and a removed keyring leaves nothing', async () => {
  const { gnupgHome } = context.environment;
  gpg();
  project.script('gpgconf', '');
  await importKeys(context);
  await context.end('done');
  assert.equal(project.calls(/^gpgconf/), []);
  writeFileSync(join(gnupgHome, 'S.gpg-agent'), '');
  await removeKeyring(context);
  assert.is(project.calls().at(-1), `gpgconf --homedir ${gnupgHome} --kill all`);
  assert.not.ok(existsSync(gnupgHome));
});

test.run();
