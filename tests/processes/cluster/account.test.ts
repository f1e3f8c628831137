import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findAccount, otherUserWords } from '../../../lib/cluster/embedded/account.ts';
import { fails, taskContext } from '../../rig/task-context.ts';

let folder: string;
const isRoot = process.getuid?.() === 0;

test.before.each(() => {
  // Mode 0700.
  folder = mkdtempSync(join(tmpdir(), 'account-'));
});

test.after.each(() => rmSync(folder, { recursive: true }));

/** A program in the folder that prints something, and ends with an exit code. */
function script(name: string, body: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return path;
}

if (isRoot) {
  test('another user finds and starts a program in a folder that only root may enter', () => {
    const program = script('program', 'id -u');
    const [setpriv = '', ...words] = otherUserWords({ uid: 65534, gid: 65534 });
    // As initdb looks for its server: by access(2), which counts the user, not what it may do.
    const look = 'require("fs").accessSync(process.argv[1], 1)';
    execFileSync(setpriv, [...words, process.execPath, '-e', look, program]);
    assert.is(execFileSync(setpriv, [...words, program], { encoding: 'utf8' }).trim(), '65534');
  });

  test('where root cannot switch users, the error says what was tried and what to install', async () => {
    script('unshare', 'echo "unshare: no namespaces" >&2; exit 1');
    script('setpriv', 'echo "setpriv: no such option" >&2; exit 1');
    const $ = taskContext({}).$({ env: { PATH: `${folder}:/usr/bin:/bin` } });
    await fails(findAccount('postgres', $), {
      what: 'postgres does not run as root',
      why: 'unshare: no namespaces\nsetpriv: no such option',
      advice: /setpriv of util-linux/,
    });
  });
} else {
  test('a user with an account runs the programs itself', async () => {
    const { words } = await findAccount('initdb', taskContext({}).$);
    assert.equal(words, []);
  });
}

test.run();
