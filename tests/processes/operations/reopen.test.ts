import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { reopen, reopenBeforeInstall } from '../../../lib/operations/reopen.ts';
import { writeWhole } from '../../../lib/settings/environment.ts';
import { makeCertificate } from '../../rig/certificate.ts';
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';
import { scriptedPostgresql } from '../../rig/scripted-postgresql.ts';
import { failureOf } from '../../rig/task-context.ts';

/* The first minute after real nodes started, with a scripted API, since no test can bring a cluster into that state. */

type State = { context: CloneContext; port: number };

const test = suite<State>('reopen');
const project = scriptedFolder('environments', 'helmfile.yaml');

test.before.each(async (state) => {
  state.context = await project.context('minikube');
  mkdirSync(state.context.environment.state, { recursive: true });
  state.port = await scriptedPostgresql(state.context, () => '28P01');
  project.forget();
});
test.after(project.remove);

const pod = (ready: boolean) => ({
  metadata: { namespace: 'database', name: 'postgresql-0' },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
});

/** What kubectl answers to each question in turn, the last again and again. */
function cluster(answers: { [question: string]: readonly string[] }): void {
  const cases = Object.entries(answers).map(([question, texts], index) => {
    texts.forEach((text, turn) => {
      writeFileSync(`${project.folder}/answer-${index}-${turn + 1}`, text);
    });
    return `*"${question}"*)
      turn=$(grep -c -e "${question}" "$CALLS"); [ "$turn" -gt ${texts.length} ] && turn=${texts.length}
      . '${project.folder}'/answer-${index}-$turn;;`;
  });
  project.script('kubectl', `case "$*" in\n${cases.join('\n')}\n*) echo '{"items":[]}';;\nesac`);
}

const print = (items: readonly object[]): string => `echo '${JSON.stringify({ items })}'`;
const leases = (renewTime: string): string => print([{ metadata: { name: 'node-1' }, spec: { renewTime } }]);
const forward = ({ port }: State): string =>
  `echo "Forwarding from 127.0.0.1:${port} -> 5432"; exec sleep 1000`;
const refused = 'echo "error: unable to upgrade connection: pod does not exist" >&2; exit 1';

/** The questions in the order in which they were first asked. */
const asked = (): readonly string[] => [
  ...new Set(
    project
      .calls()
      .map((line) => /leases|port-forward|get pods|service|statefulsets/.exec(line)?.[0] ?? line),
  ),
];

test('it waits for kubelets, then PostgreSQL itself, then readiness: the API shows pods as before the stop', async (state) => {
  cluster({
    'get leases': [leases('1'), leases('1'), leases('2')],
    'get service postgresql': ['echo service/postgresql'],
    'port-forward': [refused, forward(state)],
    'get pods': [print([pod(true)]), print([pod(false)]), print([pod(true)])],
  });
  assert.is(await reopen(state.context, 'changed'), 'unchanged');
  assert.equal(asked(), ['get pods', 'leases', 'statefulsets', 'service', 'port-forward']);
  const count = (word: string) => project.calls().filter((line) => line.includes(word)).length;
  assert.equal(['leases', 'port-forward', 'get pods'].map(count), [3, 3, 3]);
  assert.equal(state.context.logged, []);
});

test('on nodes that already run it waits for PostgreSQL only', async (state) => {
  cluster({
    'get service postgresql': ['echo service/postgresql'],
    'port-forward': [refused, forward(state)],
    'get pods': [print([pod(false)])],
  });
  assert.is(await reopen(state.context, 'unchanged'), 'unchanged');
  assert.equal(asked(), ['get pods', 'statefulsets', 'service', 'port-forward']);
});

test('without deployed releases it waits for nothing', async (state) => {
  cluster({});
  assert.is(await reopen(state.context, 'changed'), 'unchanged');
  assert.equal(asked(), ['get pods', 'statefulsets']);
});

test('a database that the user may not reach is an error', async (state) => {
  cluster({
    'get leases': [leases('1'), leases('2')],
    'get service postgresql': ['echo service/postgresql'],
    'port-forward': ['echo "Error from server (Forbidden): no" >&2; exit 1'],
    'get pods': [print([pod(false)])],
  });
  const error = await failureOf(reopen(state.context, 'changed'));
  assert.is(error.what, 'svc/postgresql of the namespace database cannot be reached');
  assert.match(error.why ?? '', /Forbidden.*\npod database\/postgresql-0: it is not ready$/);
});

test('before an install, a Vault with an expired certificate is left to it; otherwise it is an error', async (state) => {
  const { folder } = project;
  const [own, other] = await Promise.all(
    ['own', 'other'].map((name) => makeCertificate(folder, name, ['DNS:vault.vault.svc'])),
  );
  await writeWhole(join(state.context.environment.state, 'certificates', 'ca.crt'), own?.authority ?? '');
  const [cert, key] = [readFileSync(other?.certificate ?? ''), readFileSync(other?.key ?? '')];
  const server = createServer({ cert, key });
  await once(server.unref().listen(0, '127.0.0.1'), 'listening');
  const vault = {
    ...{ kind: 'Pod', status: { phase: 'Running' }, spec: { containers: [] } },
    metadata: { name: 'vault-0', ownerReferences: [{ kind: 'StatefulSet', name: 'vault' }] },
  };
  cluster({
    'port-forward': [forward({ ...state, port: (server.address() as AddressInfo).port })],
    'get pods': [print([pod(true)])],
    statefulsets: [print([vault])],
  });
  assert.match((await failureOf(reopen(state.context, 'unchanged'))).what, 'by its certificate');
  assert.is(await reopenBeforeInstall(state.context, 'unchanged'), 'unchanged');
  assert.match(state.context.logged.join(), /^Vault may be sealed: .*by its certificate/);
});

test.run();
