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
    'no such command, try 7': undefined,
  };
  for (const [text, expected] of Object.entries(texts)) assert.is(versionIn(text), expected, text);
});

const minor = { kubernetes: 'minor', version: 'v1.30.0' } as const;
const postgresql = { name: 'postgresql', minimum: '15.0' } as const;

/** What a tool of the manifest needs, in words; versions that are fine, and what is wrong with others. */
test('a tool needs its minimum, a version for the cluster, or the major version of the data', () => {
  for (const [entry, requirement, words, fine, wrong] of [
    [{}, {}, 'tool', ['0.0.1'], {}],
    // Versions are compared as numbers.
    [{ minimum: '3.9' }, {}, 'tool 3.9.0 or newer', ['3.9.0', '3.10.0', '12.0.0'], { '3.8.9': 'is too old' }],
    [
      ...[minor, { kubernetesVersion: 'v1.31.0' }, 'tool 1.30 to 1.32', ['1.30.0', '1.32.4']],
      { '1.29.9': 'is too old', '1.33.0': 'is too new' },
    ],
    [
      ...[{ kubernetes: 'exact', version: 'v1.31.0' }, {}, 'tool 1.31.0', ['1.31.0']],
      { '1.31.1': 'is another version' },
    ],
    [postgresql, {}, 'postgresql 15.0.0 or newer', ['18.4.0'], {}],
    [
      ...[postgresql, { postgresqlMajor: 16 }, 'postgresql 16.x', ['16.2.0']],
      { '18.4.0': 'is too new', '15.18.0': 'is too old' },
    ],
  ] as [Partial<ToolEntry>, Requirement, string, string[], { [version: string]: string }][]) {
    const tool = { name: 'tool', ...entry } as ToolEntry;
    assert.is(describeTool(tool, requirement), words);
    const problem = (version: string) => versionProblem(version, versionRange(tool, requirement));
    assert.equal(fine.filter(problem), [], words);
    for (const [version, said] of Object.entries(wrong)) assert.is(problem(version), said, words);
  }
});

test.run();
