import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  compareVersions,
  describeNeed,
  formatVersion,
  parseVersion,
  versionProblem,
} from '../../../lib/tools/versions.ts';

function version(text: string) {
  const parsed = parseVersion(text);
  if (parsed === undefined) throw new Error(`no version in ${text}`);
  return parsed;
}

test('reads the version out of what each tool prints', () => {
  const texts = {
    'v4.3.1+g1234567': '4.3.1',
    'sops 3.13.2': '3.13.2',
    'etcd Version: 3.5.21\nGit SHA: abc': '3.5.21',
    'Kubernetes v1.31.0': '1.31.0',
    'Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0': '1.32.4',
    'kwok version v0.8.0 go1.26.8 (linux/amd64)': '0.8.0',
    'go version go1.26.8 linux/amd64': '1.26.8',
    'gpg (GnuPG) 2.2.40': '2.2.40',
    'OpenSSL 1.1.1w  11 Sep 2023': '1.1.1',
    'postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)': '15.18.0',
    'Docker version 28.2.2, build e6534b4': '28.2.2',
    '{"gitVersion": "0.10.0"}': '0.10.0',
  };
  for (const [text, expected] of Object.entries(texts))
    assert.is(formatVersion(version(text)), expected, text);
});

test('a text without a version has none', () => {
  assert.is(parseVersion('no such command, try 7'), undefined);
});

test('versions are compared as numbers', () => {
  assert.ok(compareVersions(version('1.9.0'), version('1.10.0')) < 0);
  assert.ok(compareVersions(version('2.0.0'), version('1.99.99')) > 0);
  assert.is(compareVersions(version('1.2'), version('1.2.0')), 0);
});

test('a version below the minimum is too old', () => {
  assert.is(versionProblem(version('3.8.9'), { minimum: version('3.9.0') }), 'is too old');
  assert.is(versionProblem(version('3.9.0'), { minimum: version('3.9.0') }), undefined);
});

test('kubectl may be one minor version away from the cluster', () => {
  const need = { around: version('1.31.0') };
  assert.is(versionProblem(version('1.29.9'), need), 'is too old');
  assert.is(versionProblem(version('1.30.0'), need), undefined);
  assert.is(versionProblem(version('1.32.4'), need), undefined);
  assert.is(versionProblem(version('1.33.0'), need), 'is too new');
  assert.is(describeNeed(need), '1.30 to 1.32');
});

test('the parts of a cluster have to be of its very version', () => {
  assert.is(versionProblem(version('1.31.1'), { exact: version('1.31.0') }), 'is another version');
  assert.is(describeNeed({ exact: version('1.31.0') }), '1.31.0');
});

test('a major version can be asked for', () => {
  assert.is(versionProblem(version('18.4'), { minimum: version('15.0'), major: 15 }), 'is too new');
  assert.is(versionProblem(version('15.18'), { minimum: version('15.0'), major: 15 }), undefined);
  assert.is(describeNeed({ minimum: version('15.0'), major: 16 }), '16.x');
});

test.run();
