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

for (const head of [true, false]) {
  test(`differences of one kubectl call are split by release${head ? '' : ', as BusyBox prints them'}`, () => {
    const [deployment, service, namespace] = [
      part('apps.v1.Deployment.backend.app1-back', head),
      part('v1.Service.backend.app1-back', head),
      part('v1.Namespace..backend', head),
    ];
    const found = byRelease(`${deployment}${namespace}${service}`.trimEnd(), known);
    assert.equal(
      [...found],
      [
        ['app1-back', `${deployment}${service}`.trimEnd()],
        ['devops', namespace?.trimEnd()],
      ],
    );
  });
}

test('a difference of no known object is kept', () => {
  const text = part('v1.Secret.backend.app9').trimEnd();
  assert.equal([...byRelease(text, known)], [['', text]]);
});

test.run();
