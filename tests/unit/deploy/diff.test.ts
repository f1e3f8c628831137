import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { watchedFiles } from '../../../lib/deploy/commands.ts';
import { compare } from '../../../lib/deploy/diff.ts';
import { leftoverGlob } from '../../../lib/ground/file-names.ts';
import type { Release } from '../../../lib/helm/helmfile.ts';
import { environmentOf } from '../../../lib/settings/environment.ts';
import { loadSettings } from '../../../lib/settings/settings.ts';
import { answeringShell, environmentIn, fails } from '../../rig/task-context.ts';

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

const shown = (file: string): string =>
  `--- LIVE/${file}\n+++ MERGED/${file}\n@@ -1 +1 @@\n--- of ${file}\n+++ of ${file}`;

const deployment = 'apps.v1.Deployment.backend.app1-back';
const service = 'v1.Service.backend.app1-back';

async function compared(...answers: { exitCode: number; stderr?: string; stdout?: string }[]) {
  const $ = answeringShell(() => answers.shift() ?? {});
  return Object.fromEntries(await compare({ $, environment: environmentIn('/project') }, known));
}

test('differences of one kubectl call are split by release, those of no known object too', async () => {
  const [namespace, other] = ['v1.Namespace..backend', 'v1.Secret.backend.app9'];
  for (const head of [true, false]) {
    const stdout = [deployment, namespace, service].map((file) => part(file, head)).join('');
    assert.equal(await compared({ exitCode: 1, stdout }), {
      ...{ 'app1-back': `${shown(deployment)}\n${shown(service)}`, devops: shown(namespace) },
    });
  }
  assert.equal(await compared({ exitCode: 1, stdout: part(other) }), { '': shown(other) });
});

test('an object that cannot be changed in place has a line of its own, and the others their differences', async () => {
  const refused = [
    'Error from server (Invalid): Deployment.apps "app1-back" is invalid: spec.selector: Invalid value: {}: field is immutable',
    'Error from server (Invalid): Namespace "backend" is invalid: [spec: Forbidden: one',
    '  core.NamespaceSpec{, spec: Forbidden: two]',
  ];
  const recreate =
    'this cannot be changed in place: delete the object, and run again to recreate it; its pods and volumes stay (`kubectl -n backend delete deployment app1-back --cascade=orphan`)';
  const found = await compared(
    { exitCode: 2, stderr: refused.join('\n') },
    { exitCode: 1, stdout: part(service) },
  );
  assert.equal(found, {
    'app1-back': `! Deployment app1-back: the cluster refuses the change; ${recreate}\n${shown(service)}`,
    devops: '! Namespace backend: the cluster refuses the change; spec: Forbidden: one',
  });
  const stderr = 'unable to recognize "STDIN": no matches for kind "Deployment" in version "apps/v1"';
  const { 'app1-back': text } = await compared({ exitCode: 2, stderr }, { exitCode: 0 });
  assert.match(text ?? '', /^! Deployment app1-back: .*the cluster has no type Deployment: [^\n]*$/);
  const foreign = 'The Secret "somebody-elses" is invalid: data: Required value';
  await fails(compared({ exitCode: 2, stderr: foreign }), { why: /somebody-elses/ });
});

async function watched(selection: { app?: string; tier?: string }, provider: 'embedded' | 'minikube') {
  const environment = environmentOf({ env: 'development', provider });
  return watchedFiles({ environment, settings: await loadSettings(environment) }, selection);
}

test('an install watches the settings, and the charts of its releases and of those that these need', async () => {
  const settings = ['helmfile.yaml', 'environments/*.{yaml,gotmpl}', 'environments/development'];
  const [own, leftovers] = [['./charts/devops', './charts/postgresql'], `!${leftoverGlob}`];
  const fronts = ['./charts/backend', './charts/frontend'];
  assert.equal(await watched({ app: 'app2' }, 'minikube'), [...settings, ...own, ...fronts, leftovers]);
  assert.equal(await watched({ app: 'devops' }, 'minikube'), [...settings, './charts/devops', leftovers]);
  // The chart that the settings name for metrics-server.
  const standIn = await watched({ app: 'metrics-server' }, 'embedded');
  assert.equal(standIn, [...settings, './charts/devops', './charts/stand-in', leftovers]);
});

test.run();
