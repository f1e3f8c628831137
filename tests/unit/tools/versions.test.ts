import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ToolEntry } from '../../../lib/tools/manifest.ts';
import {
  describeTool,
  type Requirement,
  versionIn,
  versionProblem,
  versionRange,
} from '../../../lib/tools/versions.ts';

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
  for (const [text, expected] of Object.entries(texts)) assert.is(versionIn(text), expected, text);
});

test('a text without a version has none', () => {
  assert.is(versionIn('no such command, try 7'), undefined);
});

/** What a tool of the manifest needs, in words, and what is wrong with a version of it. */
function need(entry: Partial<ToolEntry>, requirement: Requirement = {}) {
  const full = { name: 'tool', ...entry } as ToolEntry;
  return {
    words: describeTool(full, requirement),
    problem: (version: string) => versionProblem(version, versionRange(full, requirement)),
  };
}

test('a version below the minimum is too old', () => {
  const { words, problem } = need({ minimum: '3.9' });
  assert.is(words, 'tool 3.9.0 or newer');
  assert.is(problem('3.8.9'), 'is too old');
  assert.is(problem('3.9.0'), undefined);
  assert.is(problem('3.10.0'), undefined, 'versions are compared as numbers');
  assert.is(problem('12.0.0'), undefined);
});

test('kubectl may be one minor version away from the cluster', () => {
  const { words, problem } = need(
    { kubernetes: 'minor', version: 'v1.30.0' },
    { kubernetesVersion: 'v1.31.0' },
  );
  assert.is(words, 'tool 1.30 to 1.32');
  assert.is(problem('1.29.9'), 'is too old');
  assert.is(problem('1.30.0'), undefined);
  assert.is(problem('1.32.4'), undefined);
  assert.is(problem('1.33.0'), 'is too new');
});

test('the parts of a cluster must have its exact version, by default that of the manifest', () => {
  const { words, problem } = need({ kubernetes: 'exact', version: 'v1.31.0' });
  assert.is(words, 'tool 1.31.0');
  assert.is(problem('1.31.0'), undefined);
  assert.is(problem('1.31.1'), 'is another version');
});

test('data of PostgreSQL asks for its major version', () => {
  const postgresql = { name: 'postgresql', minimum: '15.0' } as const;
  const { words, problem } = need(postgresql, { postgresqlMajor: 16 });
  assert.is(words, 'postgresql 16.x');
  assert.is(problem('18.4.0'), 'is too new');
  assert.is(problem('15.18.0'), 'is too old');
  assert.is(problem('16.2.0'), undefined);
  assert.is(need(postgresql).words, 'postgresql 15.0.0 or newer');
});

test('a tool without a minimum may have any version', () => {
  const { words, problem } = need({});
  assert.is(words, 'tool');
  assert.is(problem('0.0.1'), undefined);
});

test.run();
