import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { reopen, reopenBeforeInstall } from '../../../lib/operations/reopen.ts';
import { writeWhole } from '../../../lib/settings/environment.ts';
import { makeCertificate } from '../../rig/certificate.ts';
import { serveTls } from '../../rig/loopback.ts';
import { context, forwarding, listing, scriptedSuite } from '../../rig/scripted-folder.ts';
import { scriptedPostgresql } from '../../rig/scripted-postgresql.ts';
import { fails } from '../../rig/task-context.ts';

/* The first minute after real nodes started, with a scripted API, since no test can bring a cluster into that state. */

const { test, project } = scriptedSuite('reopen', 'minikube', 'environments', 'helmfile.yaml');
let port: number;

test.before.each(async () => {
  port = await scriptedPostgresql(context, () => '28P01');
});

const pod = (ready: boolean) => ({
  metadata: { namespace: 'database', name: 'postgresql-0' },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
});

/** What kubectl answers to each question in turn, the last again and again. */
function cluster(answers: { [question: string]: readonly string[] }): void {
  const cases = Object.entries(answers).map(([question, texts], index) => {
    const file = (turn: number | string) => `${project.folder}/answer-${index}-${turn}`;
    for (const [turn, text] of texts.entries()) writeFileSync(file(turn + 1), text);
    const turn = `turn=$(grep -c -e "${question}" "$CALLS"); [ "$turn" -gt ${texts.length} ] && turn=${texts.length}`;
    return [question, `${turn}\n. ${file('$turn')}`] as const;
  });
  project.script('kubectl', { ...Object.fromEntries(cases), '': listing() });
}

const leases = (...times: string[]) =>
  times.map((renewTime) => listing({ metadata: { name: 'node-1' }, spec: { renewTime } }));
const postgresql = { 'get service postgresql': ['echo service/postgresql'] };
const refused = 'echo "error: unable to upgrade connection: pod does not exist" >&2; exit 1';

function asked(): readonly string[] {
  const question = /leases|port-forward|get pods|service|statefulsets/;
  return [...new Set(project.calls().map((line) => question.exec(line)?.[0] ?? line))];
}

test('it waits for kubelets, then PostgreSQL itself, then readiness: the API shows pods as before the stop', async () => {
  cluster({
    'get leases': leases('1', '1', '2'),
    ...postgresql,
    'port-forward': [refused, forwarding(port)],
    'get pods': [listing(pod(true)), listing(pod(false)), listing(pod(true))],
  });
  assert.is(await reopen(context, 'changed'), 'unchanged');
  assert.equal(asked(), ['get pods', 'leases', 'statefulsets', 'service', 'port-forward']);
  for (const word of ['leases', 'port-forward', 'get pods']) assert.is(project.calls(word).length, 3, word);
  assert.equal(context.logged, []);
});

test('on nodes that already run it waits for PostgreSQL only', async () => {
  cluster({
    ...postgresql,
    'port-forward': [refused, forwarding(port)],
    'get pods': [listing(pod(false))],
  });
  assert.is(await reopen(context, 'unchanged'), 'unchanged');
  assert.equal(asked(), ['get pods', 'statefulsets', 'service', 'port-forward']);
});

test('without deployed releases it waits for nothing', async () => {
  cluster({});
  assert.is(await reopen(context, 'changed'), 'unchanged');
  assert.equal(asked(), ['get pods', 'statefulsets']);
});

test('a database that the user may not reach is an error', async () => {
  cluster({
    'get leases': leases('1', '2'),
    ...postgresql,
    'port-forward': ['echo "Error from server (Forbidden): no" >&2; exit 1'],
    'get pods': [listing(pod(false))],
  });
  await fails(reopen(context, 'changed'), {
    what: 'svc/postgresql of the namespace database cannot be reached',
    why: /Forbidden.*\npod database\/postgresql-0: it is not ready$/,
  });
});

test('before an install, a Vault with an expired certificate is left to it; otherwise it is an error', async () => {
  const { folder } = project;
  const make = (name: string) => makeCertificate(folder, name, ['DNS:vault.vault.svc']);
  const [own, other] = [await make('own'), await make('other')];
  await writeWhole(join(context.environment.state, 'certificates', 'ca.crt'), own.authority);
  const vault = {
    ...{ kind: 'Pod', status: { phase: 'Running' }, spec: { containers: [] } },
    metadata: { name: 'vault-0', ownerReferences: [{ kind: 'StatefulSet', name: 'vault' }] },
  };
  cluster({
    'port-forward': [forwarding(await serveTls(other))],
    'get pods': [listing(pod(true))],
    statefulsets: [listing(vault)],
  });
  await fails(reopen(context, 'unchanged'), { what: /by its certificate/ });
  assert.is(await reopenBeforeInstall(context, 'unchanged'), 'unchanged');
  assert.match(context.logged.join(), /^Vault may be sealed: .*by its certificate/);
});

test.run();
