import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { finishReplacement, replaceOlderPods } from '../../../lib/deploy/replace-pods.ts';
import type { Deployed, DeployedRelease } from '../../../lib/helm/releases.ts';
import { replaceKeys } from '../../../lib/vault/api/keys-file.ts';
import { makeAuthority, type TestCertificate } from '../../rig/certificate.ts';
import { context, forwarding, scriptedSuite } from '../../rig/scripted-folder.ts';
import { fails } from '../../rig/task-context.ts';
import { refused, type Script, scriptedVault } from '../../unit/vault/scripted-vault.ts';

/* The order of a replacement and what stops it, with pods and servers of Vault that follow a script. */

const { test, project } = scriptedSuite('replace-pods', 'minikube', 'environments');

const pods = join(project.folder, 'pods');
const successors = join(project.folder, 'successors');
const events = join(project.folder, 'events');
let certificate: TestCertificate;

type PodOptions = {
  readonly revision?: 'old' | 'new';
  readonly waiting?: string;
  readonly ready?: boolean;
};

/** A pod of the StatefulSet `vault`, as kubectl prints it. */
function pod(name: string, { revision = 'old', waiting, ready = true }: PodOptions = {}): string {
  const state = waiting === undefined ? {} : { waiting: { reason: waiting } };
  const isReady = ready && waiting === undefined;
  return JSON.stringify({
    kind: 'Pod',
    metadata: {
      ...{ name, namespace: 'vault', uid: `${name}-${revision}` },
      labels: { 'controller-revision-hash': revision },
      ownerReferences: [{ kind: 'StatefulSet', name: 'vault' }],
    },
    status: {
      ...{ phase: 'Running', containerStatuses: [{ name: 'vault', state }] },
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }],
    },
  });
}

type ServerOptions = {
  readonly initialized?: boolean;
  /** Once replaced, it follows no leader. */
  readonly lost?: boolean;
  readonly mayStepDown?: boolean;
};

/** Servers of Vault by pod: a replaced pod's is sealed, and does not lead, as the last one does at first. */
async function servers(names: readonly string[], options: Readonly<Record<string, ServerOptions>> = {}) {
  const open = new Map(names.map((name) => [name, `${name}-old`]));
  let leader = names.at(-1) ?? '';
  const uidOf = (name: string): string =>
    JSON.parse(readFileSync(join(pods, name), 'utf8')).metadata.uid as string;
  const forwards = await Promise.all(
    names.map(async (name) => {
      const { initialized = true, lost = false, mayStepDown = true } = options[name] ?? {};
      const replaced = () => uidOf(name).endsWith('new');
      const known = () => initialized || replaced();
      const isOpen = () => known() && open.get(name) === uidOf(name);
      const leads = () => {
        const next = names.find((other) => other !== name && open.get(other) === uidOf(other));
        if (leader === name && !isOpen() && next !== undefined) leader = next;
        return leader === name;
      };
      const script: Script = ({ method, path, body }) => {
        const raft = { raft_committed_index: 7, raft_applied_index: 7 };
        switch (`${method} ${path.split('?')[0]}`) {
          case 'GET sys/seal-status': {
            leads();
            const state = { initialized: known(), sealed: !isOpen() };
            return { body: { ...state, recovery_seal: false, storage_type: 'raft' } };
          }
          case 'GET sys/health':
            return { body: { initialized: true, sealed: false, standby: !leads() } };
          case 'GET sys/leader':
            return { body: { leader_address: lost && replaced() ? '' : 'some', ...raft } };
          case 'PUT sys/unseal':
            assert.is(body.key, 'the key');
            open.set(name, uidOf(name));
            appendFileSync(events, `unseal ${name}\n`);
            return { body: { sealed: false } };
          case 'PUT sys/step-down':
            if (!mayStepDown) return refused(403, 'permission denied');
            leader = names.find((other) => other !== name) ?? name;
            appendFileSync(events, `step-down ${name}\n`);
            return {};
          default:
            return undefined;
        }
      };
      const { address } = await scriptedVault(script, certificate);
      return [`port-forward*pod/${name}`, forwarding(new URL(address).port)] as const;
    }),
  );
  const spec = { replicas: names.length };
  const status = { observedGeneration: 2, updateRevision: 'new' };
  const metadata = { name: 'vault', generation: 2 };
  const set = JSON.stringify({ kind: 'StatefulSet', metadata, spec, status });
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
const keys = () => join(context.environment.state, 'vault', 'keys.json');
const setPod = (name: string, options?: PodOptions) => writeFileSync(join(pods, name), pod(name, options));

test.before.each(async () => {
  for (const folder of [pods, successors]) mkdirSync(folder);
  writeFileSync(events, '');
  for (const name of three) {
    setPod(name);
    writeFileSync(join(successors, name), pod(name, { revision: 'new' }));
  }
  certificate = await makeAuthority(context.environment);
  mkdirSync(join(context.environment.state, 'vault'));
  await replaceKeys(keys(), { unsealKeys: ['the key'], adminToken: 'the token' });
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
  writeFileSync(join(successors, 'vault-1'), pod('vault-1', { revision: 'new', waiting: 'ErrImagePull' }));
  await fails(replace(300), {
    what: 'pod vault/vault-1 is not back in service after its replacement',
    why: 'container vault: ErrImagePull',
    advice: /-n vault describe pod vault-1; .* goes on with vault-2, vault-0$/,
  });
  assert.equal(told(), ['delete vault-1']);
  // As after another change, which has made it one of an older revision.
  setPod('vault-1', { waiting: 'ErrImagePull' });
  writeFileSync(join(successors, 'vault-1'), pod('vault-1', { revision: 'new' }));
  await replace();
  assert.equal(told().slice(0, 4), ['delete vault-1', 'delete vault-1', 'unseal vault-1', 'delete vault-0']);
});

test('so does one that is never ready, or that follows no leader', async () => {
  await servers(three);
  writeFileSync(join(successors, 'vault-1'), pod('vault-1', { revision: 'new', ready: false }));
  await fails(replace(300), { why: 'it is not ready' });
  assert.equal(told(), ['delete vault-1', 'unseal vault-1']);
  await servers(three, { 'vault-1': { lost: true } });
  await fails(replace(300), { why: 'it follows no active replica' });
});

test('after a run that was killed, the last pod is unsealed, and nothing is replaced', async () => {
  for (const name of three) setPod(name, { revision: 'new' });
  await servers(three);
  assert.is(await finishReplacement(context, releases, deployed), true);
  assert.equal(told().sort(), ['unseal vault-0', 'unseal vault-1', 'unseal vault-2']);
});

test('one that never joined is replaced first, unsealed or not', async () => {
  await servers(three, { 'vault-0': { initialized: false } });
  await replace(2000);
  assert.is(told()[0], 'delete vault-0');
});

test('without the right to ask for it, the active one steps down when it ends', async () => {
  await servers(three, { 'vault-2': { mayStepDown: false } });
  await replace();
  assert.is(told().at(-2), 'delete vault-2');
  assert.ok(context.logged.includes('vault-2 is not asked to step down: permission denied'));
});

test('nothing is deleted that only people can unseal', async () => {
  await servers(three);
  await replaceKeys(keys(), { unsealKeys: [], adminToken: 'the token' });
  assert.is(await replace(), false);
  assert.equal(told(), ['']);
  assert.match(
    context.logged.join('\n'),
    /3 of 3 pods of Vault run an older revision, and their unseal keys/,
  );
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
