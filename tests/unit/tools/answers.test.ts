import { TaskError } from '@k8s-deployment/runner';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ToolEntry } from '../../../lib/tools/manifest.ts';
import { type Ended, parseAnswer, reasonOf, toolFailure } from '../../../lib/tools/tool-answer.ts';
import {
  describeTool,
  type Requirement,
  versionIn,
  versionProblem,
  versionRange,
} from '../../../lib/tools/versions.ts';
import { fails } from '../../rig/task-context.ts';

function ended(exitCode: number, stderr = '', signal: NodeJS.Signals | null = null): Ended {
  return { exitCode, stderr, signal };
}

test('a failed program is reported with its last output, else with its exit code, or the signal by name or number', async () => {
  assert.is(reasonOf(ended(1, 'first\nlast one\n───\n')), 'last one');
  const full = 'tar: state.bin: Cannot write: No space left on device';
  const space = { why: full, advice: 'free some space, then run again', exitCode: 1 };
  for (const [output, reason, what, more = {}] of [
    ...[14, 128, 203].map(
      (code) => [ended(code), `exit code ${code}`, `failed with exit code ${code}`] as const,
    ),
    [ended(143), 'ended by SIGTERM', 'was ended by SIGTERM'],
    [ended(137, '', 'SIGKILL'), 'ended by SIGKILL', 'was ended by SIGKILL'],
    // What it printed is no reason.
    ...['', 'loading'].map((said) => {
      const why = said === '' ? 'it said nothing' : `it last said: ${said}`;
      return [
        ended(124, said, 'SIGTERM'),
        'it took too long and was ended',
        'took too long',
        { why },
      ] as const;
    }),
    [ended(3, 'Error: refused\n'), 'Error: refused', 'failed with exit code 3', { why: 'Error: refused' }],
    // A full disk is named, not what a program says after it; a code 2 does not mean a wrong command line.
    [ended(2, `${full}\ntar: Exiting with failure status\n`), full, 'failed with exit code 2', space],
  ] as const) {
    assert.is(reasonOf(output), reason);
    const usual = { why: 'it printed no reason', advice: 'look', exitCode: output.exitCode };
    const error = { ...usual, what: `\`tar x\` ${what}`, ...more };
    await fails(() => Promise.reject(toolFailure('tar x', output, 'look')), error);
  }
});

test('a crashed Go program is reported with the message before its trace', () => {
  const trace = '\n\ngoroutine 1 [running]:\nmain.main()\n\t/tmp/main.go:2 +0x28\nexit status 2\n';
  const runtime = '\n\nruntime stack:\nruntime.throw({0x1, 0x2})\n\tasm_amd64.s:373 +0x8\n';
  for (const [stderr, reason] of [
    [`GOMEMLIMIT=abc\nfatal error: malformed GOMEMLIMIT${runtime}`, 'fatal error: malformed GOMEMLIMIT'],
    [`W1128 a warning\npanic: nil map${trace}`, 'panic: nil map'],
    [`runtime: out of threads\nfatal error: newosproc${trace}`, 'runtime: out of threads'],
    [`SIGQUIT: quit\nPC=0x1 m=0${trace}`, 'SIGQUIT: quit'],
    // Without a trace the last line speaks.
    ['panic: true\nError: no such release\n', 'Error: no such release'],
    [trace, 'exit status 2'],
  ] as const)
    assert.is(reasonOf(ended(2, stderr)), reason);
});

test('an answer is whole JSON; anything else is an error that does not quote it', async () => {
  assert.equal(parseAnswer('x', { stdout: '{"items": []}' }), { items: [] });
  const secret = 'hunter2-hunter2';
  for (const stdout of ['', '\n', 'null', '3', `{"password": "${secret}`, `Warning: ${secret}\n{}`]) {
    const what = '`kubectl get x` gave no readable answer';
    const error = await fails(() => parseAnswer('kubectl get x', { stdout }), { what });
    assert.instance(error, TaskError);
    assert.not.match(error.message, 'hunter2');
  }
});

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
const exact = { kubernetes: 'exact', version: 'v1.31.0' } as const;
const postgresql = { name: 'postgresql', minimum: '15.0' } as const;
const [cluster, major] = [{ kubernetesVersion: 'v1.31.0' }, { postgresqlMajor: 16 }];
const [tooOld, tooNew] = ['is too old', 'is too new'];

/** What a tool of the manifest needs, in words; versions that are fine, and what is wrong with others. */
test('a tool needs its minimum, a version for the cluster, or the major version of the data', () => {
  for (const [entry, requirement, words, fine, wrong] of [
    [{}, {}, 'tool', ['0.0.1'], {}],
    // Versions are compared as numbers.
    [{ minimum: '3.9' }, {}, 'tool 3.9.0 or newer', ['3.9.0', '3.10.0', '12.0.0'], { '3.8.9': tooOld }],
    [minor, cluster, 'tool 1.30 to 1.32', ['1.30.0', '1.32.4'], { '1.29.9': tooOld, '1.33.0': tooNew }],
    [exact, {}, 'tool 1.31.0', ['1.31.0'], { '1.31.1': 'is another version' }],
    [postgresql, {}, 'postgresql 15.0.0 or newer', ['18.4.0'], {}],
    [postgresql, major, 'postgresql 16.x', ['16.2.0'], { '18.4.0': tooNew, '15.18.0': tooOld }],
  ] as [Partial<ToolEntry>, Requirement, string, string[], { [version: string]: string }][]) {
    const tool = { name: 'tool', ...entry } as ToolEntry;
    assert.is(describeTool(tool, requirement), words);
    const problem = (version: string) => versionProblem(version, versionRange(tool, requirement));
    assert.equal(fine.filter(problem), [], words);
    for (const [version, said] of Object.entries(wrong)) assert.is(problem(version), said, words);
  }
});

test.run();
