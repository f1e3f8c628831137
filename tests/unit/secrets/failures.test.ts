import { exitCodes } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readSopsFailure } from '../../../lib/secrets/explain.ts';
import { gitFailure } from '../../../lib/secrets/git-contents.ts';

/** What sops 3.13 prints when no key opens a file, with gpg's words for each of its two recipients. */
const closed = (...said: readonly string[]): string =>
  `Failed to get the data key required to decrypt the SOPS file.

Group 0: FAILED
${said
  .map(
    (words) => `  9A48DF663A2A48118E9A15F27971F8B9DCB2DC3C: FAILED
    - | could not decrypt data key with PGP key:
      | github.com/ProtonMail/go-crypto/openpgp error: could not
      | load secring: open /tmp/g/pubring.gpg: no such
      | file or directory; GnuPG binary error: failed to decrypt
      | sops data key with pgp: ${words}
`,
  )
  .join('  \n')}
Recovery failed because no master key was able to decrypt the file. In
order for SOPS to recover the file, at least one key has to be successful,
but none were.`;

const lacking = `gpg: encrypted with RSA key, ID
      | 5246217694F01420
      | gpg: decryption failed: No secret key`;

/** Of one recipient that is no OpenPGP key. */
const refused = (...words: readonly string[]): string =>
  `Failed to get the data key\n\nGroup 0: FAILED\n  one: FAILED\n    - | ${words.join('\n      | ')}\n\nRecovery`;

const unusable = (reason: string): string => `gpg: encrypted with 2048-bit RSA
      | key, ID 44C615D08320BD85
      |       "name"
      | gpg: public key decryption failed: ${reason}
      | gpg: decryption failed: No secret key`;
const loading = 'failed to load age identities. Errors while loading age\n      | identities:';
const places = "Did not find keys in\n      | locations 'SOPS_AGE_KEY_CMD', and '/home/user/.ssh/id_rsa'.";
const unopened = 'failed to open SOPS_AGE_KEY_FILE file: open';
const malformed = "failed to parse 'SOPS_AGE_KEY' age identities: malformed secret key: invalid checksum";
const kms = 'decrypt sops data key with AWS KMS: operation error KMS: Decrypt, AccessDeniedException';

/** What sops says, the cause, and its reason if it has one. */
const causes: readonly (readonly string[])[] = [
  // Only messages of sops say that a file is damaged, closed or absent.
  ['MAC mismatch. File has 1, computed 2', 'damaged'],
  ['Cannot decrypt MAC: Could not decrypt with AES_GCM: cipher: message not authentic', 'damaged'],
  ['Error decrypting tree: Error walking tree: Could not decrypt value: illegal base64 data', 'damaged'],
  ['sops metadata not found', 'damaged'],
  ["yaml: line 1: did not find expected ',' or ']'", 'damaged'],
  [closed('gpg: CRC error; 814BE7 - CA9A3A', lacking), 'damaged', 'gpg: CRC error; 814BE7 - CA9A3A'],
  ['Error: cannot operate on non-existent file "/a/b.yaml"', 'no file'],
  [closed(lacking, lacking), 'no key'],
  ['Failed to get the data key required to decrypt the SOPS file.', 'no key'],
  ['Error reading file: read /a/b.yaml: is a directory', 'sops failed'],
  ['Error reading file: open /a/b.yaml: permission denied', 'sops failed'],
  ['', 'sops failed'],
  // A gpg that has the key but cannot use it, or gives no reason, is not a missing key.
  [
    closed(unusable('Inappropriate ioctl for\n      | device'), lacking),
    'gpg failed',
    'Inappropriate ioctl for device',
  ],
  [closed(unusable('No pinentry'), lacking), 'gpg failed', 'No pinentry'],
  [
    closed("gpg: can't connect to the agent: IPC\n      | connect call failed", lacking),
    ...['gpg failed', "can't connect to the agent: IPC connect call failed"],
  ],
  [closed('', lacking), 'gpg failed', ''],
  // An age key that cannot be read is no missing key; one that is not for sops is none.
  [refused(loading, unopened, `/x: no such file. ${places}`), 'age failed', `${unopened} /x: no such file`],
  [refused(loading, malformed), 'age failed', malformed],
  [refused(loading, `failed to obtain public "x.pub" key for "x" SSH key: no. ${places}`), 'no key'],
  [refused(`failed to load age identities. ${places}`), 'no key'],
  [
    `Failed to get the data key\n    - | failed to ${kms.replace(' error', '\n      | error')}\n\nRecovery failed`,
    'service failed',
    kms,
  ],
];

test('the cause of a failure of sops is read from its own messages, unless it was killed', () => {
  for (const [stderr = '', ...cause] of causes) {
    const found: Partial<Record<string, string>> = readSopsFailure({ stderr, exitCode: 128, signal: null });
    assert.equal([found.kind, found.why].slice(0, cause.length), cause, stderr);
  }
  const stderr = 'MAC mismatch. File has 1, computed 2';
  for (const signal of ['SIGTERM', null] as const)
    assert.is(readSopsFailure({ stderr, exitCode: 143, signal }).kind, 'sops failed');
});

const failure = (stderr: string, exitCode = 128) =>
  gitFailure('git grep', { stderr, exitCode, signal: null });

test('a failure of git has git’s fatal message, not what follows it, and the command that git suggests', () => {
  const trust = "git config --global --add safe.directory '/some/clone'";
  const foreign = "detected dubious ownership in repository at '/some/clone'";
  const suggested = `To add an exception for this directory, call:\n\n\t${trust}\n`;
  const other = failure(`fatal: ${foreign}\n${suggested}`);
  assert.equal([other.why, other.advice], [foreign, trust]);
  const damaged = failure('warning: odd\nerror: bad signature\nfatal: index file corrupt\nhint: look\n');
  const advice = 'run `git status` and `git fsck` in a clone of the repository to see more';
  assert.equal([damaged.why, damaged.advice], ['index file corrupt', advice]);
  const { what, why, exitCode } = failure('bash: line 1: git: command not found\n', 127);
  const missing = ['`git` is not installed', '`git grep` needs it', exitCodes.missingTool];
  assert.equal([what, why, exitCode], missing);
  assert.is(failure('', 137).what, '`git grep` was ended by SIGKILL');
});

test.run();
