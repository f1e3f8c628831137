import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { byRelease, compare } from '../../../lib/deploy/diff.ts';
import type { Release } from '../../../lib/helm/helmfile.ts';
import type { ShellContext } from '../../../lib/settings/context.ts';
import { answeringShell } from '../../rig/answering-shell.ts';
import { failureOf } from '../../rig/task-context.ts';

const release = (name: string) => ({ name }) as Release;

const object = (apiVersion: string, kind: string, name: string, namespace = 'backend') => ({
  ...{ apiVersion, kind, metadata: { name, namespace } },
});

const back = [object('apps/v1', 'Deployment', 'app1-back'), object('v1', 'Service', 'app1-back')];
const known = [
  { release: release('app1-back'), objects: back },
  { release: release('devops'), objects: [object('v1', 'Namespace', 'backend')] },
];

/** What diff(1) prints about one file; its first line is left out by BusyBox. */
function part(file: string, head = true): string {
  const [live, merged] = [`/tmp/LIVE-26/${file}`, `/tmp/MERGED-16/${file}`];
  const first = head ? `diff -u -N ${live} ${merged}\n` : '';
  const time = '\t2026-01-01 00:00:00';
  return `${first}--- ${live}${time}\n+++ ${merged}${time}\n@@ -1 +1 @@\n--- of ${file}\n+++ of ${file}\n`;
}

/** The same as it is shown. */
const shown = (file: string): string =>
  `--- LIVE/${file}\n+++ MERGED/${file}\n@@ -1 +1 @@\n--- of ${file}\n+++ of ${file}`;

const deployment = 'apps.v1.Deployment.backend.app1-back';
const service = 'v1.Service.backend.app1-back';

test('differences of one kubectl call are split by release, those of no known object too', () => {
  const [namespace, other] = ['v1.Namespace..backend', 'v1.Secret.backend.app9'];
  for (const head of [true, false]) {
    const printed = [deployment, namespace, service].map((file) => part(file, head)).join('');
    assert.equal(
      [...byRelease(printed.trimEnd(), known)],
      [
        ['app1-back', `${shown(deployment)}\n${shown(service)}`],
        ['devops', shown(namespace)],
      ],
    );
  }
  assert.equal([...byRelease(part(other).trimEnd(), known)], [['', shown(other)]]);
});

test('an object that cannot be changed in place has a line of its own, and the others their differences', async () => {
  const refused = [
    'Error from server (Invalid): Deployment.apps "app1-back" is invalid: spec.selector: Invalid value: {}: field is immutable',
    'Error from server (Invalid): Namespace "backend" is invalid: [spec: Forbidden: one',
    '  core.NamespaceSpec{, spec: Forbidden: two]',
  ];
  const answers = [
    { exitCode: 2, stderr: refused.join('\n') },
    { exitCode: 1, stdout: part(service) },
  ];
  const environment = { context: 'one', kubeconfig: 'file' };
  const context = { environment, $: answeringShell(() => answers.shift() ?? {}) } as unknown as ShellContext;
  assert.equal(
    [...(await compare(context, known))],
    [
      [
        'app1-back',
        '! Deployment app1-back: the cluster refuses the change; this cannot be changed in place: delete the object, and run again to recreate it; its pods and volumes stay (`kubectl -n backend delete deployment app1-back --cascade=orphan`)\n' +
          shown(service),
      ],
      ['devops', '! Namespace backend: the cluster refuses the change; spec: Forbidden: one'],
    ],
  );
  const type = 'no matches for kind "Deployment" in version "apps/v1"';
  answers.push({ exitCode: 2, stderr: `unable to recognize "STDIN": ${type}` }, { exitCode: 0, stdout: '' });
  const [[name, text] = []] = await compare(context, known);
  assert.is(name, 'app1-back');
  assert.match(text ?? '', /^! Deployment app1-back: .*the cluster has no type Deployment: [^\n]*$/);
  answers.push({ exitCode: 2, stderr: 'The Secret "somebody-elses" is invalid: data: Required value' });
  const { why } = await failureOf(compare(context, known));
  assert.match(why, 'somebody-elses');
});

test.run();
