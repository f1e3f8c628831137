import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { finishReplacement, replaceOlderPods } from '../../../lib/deploy/replace-pods.ts';
import type { Deployed, DeployedRelease } from '../../../lib/helm/releases.ts';
import { replaceKeys } from '../../../lib/vault/api/keys-file.ts';
import { keysPlace } from '../../../lib/vault/keys-place.ts';
import { makeAuthority, type TestCertificate } from '../../rig/certificate.ts';
import { context, forwarding, scriptedSuite } from '../../rig/scripted-folder.ts';
import { fails } from '../../rig/task-context.ts';
import { type Answer, refused, type Script, scriptedVault } from '../../unit/vault/scripted-vault.ts';

/* The order of a replacement and what stops it, with pods and servers of Vault that follow a script. */

const { test, project } = scriptedSuite('replace-pods', 'minikube', 'environments');

const pods = join(project.folder, 'pods');
const successors = join(project.folder, 'successors');
const events = join(project.folder, 'events');
let certificate: TestCertificate;

type PodOptions = { readonly revision?: 'old' | 'new'; readonly waiting?: string; readonly ready?: boolean };

function pod(name: string, { revision = 'old', waiting, ready = waiting === undefined }: PodOptions = {}) {
  const state = waiting === undefined ? {} : { waiting: { reason: waiting } };
  return JSON.stringify({
    kind: 'Pod',
    metadata: {
      ...{ name, namespace: 'vault', uid: `${name}-${revision}` },
      labels: { 'controller-revision-hash': revision },
      ownerReferences: [{ kind: 'StatefulSet', name: 'vault' }],
    },
    status: {
      ...{ phase: 'Running', containerStatuses: [{ name: 'vault', state }] },
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  });
}

/** Of a server: it never joined; replaced, it follows no leader or has other data; it may not be asked to step down. */
type Fault = 'new' | 'lost' | 'other' | 'leading';

/** Servers of Vault by pod: a replaced pod's is sealed, and does not lead, as the last one does at first. */
async function servers(names: readonly string[], faults: Readonly<Record<string, Fault>> = {}) {
  const uidOf = (name: string): string => JSON.parse(readFileSync(join(pods, name), 'utf8')).metadata.uid;
  const isReplaced = (name: string) => uidOf(name).endsWith('new');
  const open = new Map(names.map((name) => [name, faults[name] === 'new' ? '' : `${name}-old`]));
  const isOpen = (name: string) => open.get(name) === uidOf(name);
  let leader = names.at(-1) ?? '';
  const leads = (name: string) => {
    if (!isOpen(leader)) leader = names.find(isOpen) ?? leader;
    return leader === name;
  };
  const answers = (name: string): Record<string, (key: unknown) => Answer> => ({
    'GET sys/seal-status': () => {
      const initialized = faults[name] !== 'new' || isReplaced(name);
      return { body: { initialized, sealed: !isOpen(name), recovery_seal: false, storage_type: 'raft' } };
    },
    'GET sys/health': () => ({ body: { initialized: true, sealed: false, standby: !leads(name) } }),
    'GET sys/leader': () => {
      const leader_address = faults[name] === 'lost' && isReplaced(name) ? '' : 'some';
      return { body: { leader_address, raft_committed_index: 7, raft_applied_index: 7 } };
    },
    'PUT sys/unseal': (key) => {
      assert.is(key, 'the key');
      if (faults[name] === 'other') return refused(400, 'message authentication failed');
      open.set(name, uidOf(name));
      appendFileSync(events, `unseal ${name}\n`);
      return { body: { sealed: false } };
    },
    'PUT sys/step-down': () => {
      if (faults[name] === 'leading') return refused(403, 'permission denied');
      leader = names.find((other) => other !== name) ?? name;
      appendFileSync(events, `step-down ${name}\n`);
      return {};
    },
  });
  const forwards = await Promise.all(
    names.map(async (name) => {
      const script: Script = ({ method, path, body }) =>
        answers(name)[`${method} ${path.split('?')[0]}`]?.(body.key);
      const { address } = await scriptedVault(script, certificate);
      return [`port-forward*pod/${name}`, forwarding(new URL(address).port)] as const;
    }),
  );
  const set = JSON.stringify({
    ...{ kind: 'StatefulSet', metadata: { name: 'vault', generation: 2 } },
    ...{ spec: { replicas: names.length }, status: { observedGeneration: 2, updateRevision: 'new' } },
  });
  const list = `separator=; for pod in ${pods}/*; do printf '%s' "$separator"; cat "$pod"; separator=', '; done`;
  // A deleted pod is replaced by its successor, in the newest revision.
  const replace = `echo "delete $word" >> '${events}'; cp "${successors}/$word" "${pods}/$word.next"; mv "${pods}/$word.next" "${pods}/$word"`;
  project.script('kubectl', {
    'get statefulsets,pods': `printf '{"items": [%s, ' '${set}'; ${list}; echo ']}'`,
    'get statefulset vault': `echo '${set}'`,
    'get pods': `printf '{"items": ['; ${list}; echo ']}'`,
    'delete pod': `for word; do case "$word" in vault-?) ${replace} ;; esac; done`,
    ...Object.fromEntries(forwards),
  });
}

const three = ['vault-0', 'vault-1', 'vault-2'];
const manifest =
  'apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: vault}\nspec: {updateStrategy: {type: OnDelete}}\n';
const releases = [{ id: 'vault/vault' }];
const deployed: Deployed = new Map([
  ['vault/vault', { name: 'vault', namespace: 'vault', manifest } as DeployedRelease],
]);
const told = () => readFileSync(events, 'utf8').trim().split('\n');
const replace = (waitMs = 30_000) => replaceOlderPods(context, releases, deployed, waitMs);
const setPod = (name: string, options?: PodOptions, folder = pods) =>
  writeFileSync(join(folder, name), pod(name, options));

test.before.each(async () => {
  for (const folder of [pods, successors]) mkdirSync(folder);
  writeFileSync(events, '');
  for (const name of three) {
    setPod(name);
    setPod(name, { revision: 'new' }, successors);
  }
  certificate = await makeAuthority(context.environment);
  mkdirSync(join(context.environment.state, 'vault'));
  await replaceKeys(keysPlace(context), { unseal_keys_b64: ['the key'], admin_token: 'the token' });
});

test('standbys come first, each is unsealed before the next, and the active one steps down before its end', async () => {
  await servers(three);
  assert.is(await replace(), true);
  assert.equal(told(), [
    ...['delete vault-1', 'unseal vault-1', 'delete vault-0', 'unseal vault-0'],
    ...['step-down vault-2', 'delete vault-2', 'unseal vault-2'],
  ]);
  assert.is(await replace(), false);
});

test('a pod that does not come back stops the replacement; the next one goes on where it stopped', async () => {
  await servers(three);
  setPod('vault-1', { revision: 'new', waiting: 'ErrImagePull' }, successors);
  await fails(replace(300), {
    what: 'pod vault/vault-1 is not back in service after its replacement',
    why: 'container vault: ErrImagePull',
    advice: /-n vault describe pod vault-1; .* goes on with vault-2, vault-0$/,
  });
  assert.equal(told(), ['delete vault-1']);
  // As after another change, which has made it one of an older revision.
  setPod('vault-1', { waiting: 'ErrImagePull' });
  setPod('vault-1', { revision: 'new' }, successors);
  await replace();
  assert.equal(told().slice(0, 4), ['delete vault-1', 'delete vault-1', 'unseal vault-1', 'delete vault-0']);
});

test('so does one that is never ready, or that follows no leader', async () => {
  await servers(three);
  setPod('vault-1', { revision: 'new', ready: false }, successors);
  await fails(replace(300), { why: 'it is not ready' });
  assert.equal(told(), ['delete vault-1', 'unseal vault-1']);
  await servers(three, { 'vault-1': 'lost' });
  await fails(replace(300), { why: 'it follows no active replica' });
});

test('of one with other data, the error says how it gets those of the others', async () => {
  await servers(three, { 'vault-2': 'other' });
  await fails(replace(300), {
    what: 'pod vault/vault-2 is not back in service after its replacement',
    why: /do not open vault-2, while the other replicas of Vault serve: message authentication failed$/,
    advice: /delete pvc data-vault-2 .*; fix it and install again$/,
  });
});

test('after a run that was killed, the last pod is unsealed, and nothing is replaced', async () => {
  for (const name of three) setPod(name, { revision: 'new' });
  await servers(three);
  assert.is(await finishReplacement(context, releases, deployed), true);
  assert.equal(told().sort(), ['unseal vault-0', 'unseal vault-1', 'unseal vault-2']);
});

test('one that never joined is replaced first, unsealed or not', async () => {
  await servers(three, { 'vault-0': 'new' });
  await replace(2000);
  assert.is(told()[0], 'delete vault-0');
});

test('without the right to ask for it, the active one steps down when it ends', async () => {
  await servers(three, { 'vault-2': 'leading' });
  await replace();
  assert.is(told().at(-2), 'delete vault-2');
  assert.ok(context.logged.includes('vault-2 is not asked to step down: permission denied'));
});

test('nothing is deleted that only people can unseal', async () => {
  await servers(three);
  await replaceKeys(keysPlace(context), { unseal_keys_b64: [], admin_token: 'the token' });
  assert.is(await replace(), false);
  assert.equal(told(), ['']);
  const older = /3 of 3 pods of Vault run an older revision, and their unseal keys/;
  assert.match(context.logged.join('\n'), older);
});

test('a Vault without a second replica is replaced and unsealed', async () => {
  for (const name of three.slice(1)) rmSync(join(pods, name));
  await servers(['vault-0']);
  await replace();
  assert.equal(told(), ['delete vault-0', 'unseal vault-0']);
});

test('of another workload, the pods that are not ready come first', async () => {
  setPod('vault-1', { ready: false });
  await servers(three);
  const embedded = await project.context('embedded');
  await replaceOlderPods({ ...embedded, $: context.$ }, releases, deployed);
  assert.equal(told(), ['delete vault-1', 'delete vault-2', 'delete vault-0']);
});

test.run();
