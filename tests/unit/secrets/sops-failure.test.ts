import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readSopsFailure } from '../../../lib/secrets/explain.ts';

const test = suite('causes of sops failures');

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

test('only messages of sops say that a file is damaged, closed or absent', () => {
  for (const [kind, exitCode, stderr, signal = null] of [
    ['damaged', 51, 'MAC mismatch. File has 1, computed 2'],
    [
      'damaged',
      51,
      'Cannot decrypt MAC: Could not decrypt with AES_GCM: cipher: message authentication failed',
    ],
    [
      'damaged',
      25,
      'Error decrypting tree: Error walking tree: Could not decrypt value: illegal base64 data',
    ],
    ['damaged', 1, 'sops metadata not found'],
    ['damaged', 1, "yaml: line 1: did not find expected ',' or ']'"],
    ['damaged', 128, closed('gpg: CRC error; 814BE7 - CA9A3A', lacking)],
    ['no file', 100, 'Error: cannot operate on non-existent file "/a/b.yaml"'],
    ['no key', 128, closed(lacking, lacking)],
    ['no key', 128, 'Failed to get the data key required to decrypt the SOPS file.'],
    ['sops failed', 2, 'Error reading file: read /a/b.yaml: is a directory'],
    ['sops failed', 2, 'Error reading file: open /a/b.yaml: permission denied'],
    ['sops failed', 1, 'write /dev/stdout: no space left on device'],
    ['sops failed', 127, 'bash: line 1: sops: command not found'],
    ['sops failed', 2, 'fatal error: runtime: out of memory'],
    ['sops failed', 3, ''],
    // Killed by a signal: the output does not count.
    ['sops failed', 137, '', 'SIGKILL'],
    ['sops failed', 143, 'MAC mismatch. File has 1, computed 2', 'SIGTERM'],
    ['sops failed', 137, 'Killed'],
  ] as [string, number, string, NodeJS.Signals?][])
    assert.is(readSopsFailure({ stderr, exitCode, signal }).kind, kind, stderr);
});

test('a gpg that has the key but cannot use it, or gives no reason, is not a missing key', () => {
  const said = (words: string) => {
    const failure = readSopsFailure({ stderr: closed(words, lacking), exitCode: 128, signal: null });
    return failure.kind === 'gpg failed' ? failure.why : failure.kind;
  };
  const encrypted = 'gpg: encrypted with 2048-bit RSA\n      | key, ID 44C615D08320BD85';
  const unusable = (reason: string) =>
    `${encrypted}\n      |       "name"\n      | gpg: public key decryption failed: ${reason}\n      | gpg: decryption failed: No secret key`;
  for (const reason of ['Inappropriate ioctl for\n      | device', 'No pinentry', 'Cannot allocate memory'])
    assert.is(said(unusable(reason)), reason.replace('\n      |', ''));
  const agent = "can't connect to the agent: IPC";
  assert.is(said(`gpg: ${agent}\n      | connect call failed`), `${agent} connect call failed`);
  assert.is(said('gpg: fatal: No space left on device'), 'fatal: No space left on device');
  // Killed, or not to be started.
  assert.is(said(''), '');
  assert.is(said(lacking), 'no key');
});

test('an age key that cannot be read is not a missing key', () => {
  const said = (words: string) => {
    const stderr = `Failed to get the data key\n\nGroup 0: FAILED\n  age1: FAILED\n    - | ${words}\n\nRecovery`;
    const failure = readSopsFailure({ stderr, exitCode: 128, signal: null });
    return 'why' in failure ? `${failure.kind}: ${failure.why}` : failure.kind;
  };
  const loading = 'failed to load age identities. Errors while loading age\n      | identities:';
  const places = "Did not find keys in\n      | locations 'SOPS_AGE_KEY_CMD', and '/home/user/.ssh/id_rsa'.";
  assert.is(
    said(`${loading} failed to open SOPS_AGE_KEY_FILE file: open\n      | /x: no such file. ${places}`),
    'age failed: failed to open SOPS_AGE_KEY_FILE file: open /x: no such file',
  );
  const malformed = "failed to parse 'SOPS_AGE_KEY' age identities: malformed secret key: invalid checksum";
  assert.is(said(`${loading} ${malformed}`), `age failed: ${malformed}`);
  // One that is not for sops.
  assert.is(said(`${loading} failed to obtain public "x.pub" key for "x" SSH key: no. ${places}`), 'no key');
  assert.is(said(`failed to load age identities. ${places}`), 'no key');
});

test.run();
