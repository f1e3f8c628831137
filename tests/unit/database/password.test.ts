import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { passwordProblem } from '../../../lib/database/roles.ts';
import { needsOf } from '../../../lib/runner/task.ts';
import { createK8s } from '../../../tasks/cluster.ts';
import { createEnvironment } from '../../../tasks/environment.ts';
import { databasePasswords } from '../../../tasks/secrets.ts';

test('a password is a single line without trailing line break', () => {
  const long = 'x'.repeat(1000);
  for (const password of ['x', ' blanks ', "it's", '"', '$HOME', '%', '{{ x }}', 'ünïcode ✓', long])
    assert.is(passwordProblem(password), undefined, password);
  assert.is(passwordProblem(''), 'it is empty');
  for (const password of ['two\nlines', 'end\n', 'end\r\n', 'cut\0off', '\ttab', 'del\x7f'])
    assert.match(passwordProblem(password) ?? '', 'a line break or another control character', password);
});

test('a hash cannot be a password, a text that only resembles one can', () => {
  const scram = `SCRAM-SHA-256$4096:c2FsdA==$${'A'.repeat(43)}=:${'B'.repeat(43)}=`;
  for (const hash of [`md5${'0123456789abcdef'.repeat(2)}`, scram, scram.replace('4096', '1')])
    assert.match(passwordProblem(hash) ?? '', 'it looks like a hash', hash);
  const md5s = [
    `md5${'A'.repeat(32)}`,
    `md5${'a'.repeat(31)}`,
    `md5${'a'.repeat(33)}`,
    `MD5${'a'.repeat(32)}`,
  ];
  for (const password of [...md5s, 'md5', 'a'.repeat(32), 'SCRAM-SHA-256', scram.toLowerCase(), ` ${scram}`])
    assert.is(passwordProblem(password), undefined, password);
});

test('passwords are checked before the cluster is created', () => {
  const isNeeded = (provider: string) =>
    needsOf(createEnvironment, { args: {}, options: { env: 'development', provider }, passThrough: [] }).some(
      ({ task }) => task === databasePasswords,
    );
  assert.equal(['minikube', 'existing', 'embedded'].map(isNeeded), [true, true, false]);
  assert.equal(createK8s.after, [databasePasswords]);
});

test.run();
