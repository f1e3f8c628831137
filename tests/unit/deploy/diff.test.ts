import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { byRelease } from '../../../lib/deploy/diff.ts';
import type { Release } from '../../../lib/helm/helmfile.ts';

const release = (name: string) => ({ name }) as Release;

const object = (apiVersion: string, kind: string, name: string, namespace = 'backend') => ({
  apiVersion,
  kind,
  metadata: { name, namespace },
});

const known = [
  {
    release: release('app1-back'),
    objects: [object('apps/v1', 'Deployment', 'app1-back'), object('v1', 'Service', 'app1-back')],
  },
  { release: release('devops'), objects: [object('v1', 'Namespace', 'backend')] },
];

/** What diff(1) prints about one file; `head` is left out by BusyBox. */
function part(file: string, head = true): string {
  const [live, merged] = ['LIVE-26', 'MERGED-16'].map((folder) => `/tmp/${folder}/${file}`);
  const lines = [
    ...(head ? [`diff -u -N ${live} ${merged}`] : []),
    `--- ${live}\t2026-01-01 00:00:00`,
    `+++ ${merged}\t2026-01-01 00:00:00`,
    '@@ -1 +1 @@',
    `--- of ${file}`,
    `+++ of ${file}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** The same as it is shown. */
const shown = (file: string): string =>
  [`--- LIVE/${file}`, `+++ MERGED/${file}`, '@@ -1 +1 @@', `--- of ${file}`, `+++ of ${file}`].join('\n');

for (const head of [true, false]) {
  test(`differences of one kubectl call are split by release${head ? '' : ', as BusyBox prints them'}`, () => {
    const deployment = 'apps.v1.Deployment.backend.app1-back';
    const service = 'v1.Service.backend.app1-back';
    const namespace = 'v1.Namespace..backend';
    const printed = [deployment, namespace, service].map((file) => part(file, head)).join('');
    assert.equal(
      [...byRelease(printed.trimEnd(), known)],
      [
        ['app1-back', `${shown(deployment)}\n${shown(service)}`],
        ['devops', shown(namespace)],
      ],
    );
  });
}

test('a difference of no known object is kept', () => {
  const file = 'v1.Secret.backend.app9';
  assert.equal([...byRelease(part(file).trimEnd(), known)], [['', shown(file)]]);
});

test.run();
