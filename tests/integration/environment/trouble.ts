import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readServices, type ServiceRecord } from '../../../lib/cluster/embedded/services.ts';
import type { EmbeddedState } from '../../../lib/cluster/embedded/state.ts';
import { isSameProcess } from '../../../lib/runner/process-identity.ts';
import { eventOf, leftovers, openVault, startRun } from '../sandbox.ts';
import { refuses, sandbox, somebody, state, status, succeeds, until } from './shared.ts';

export const trouble = suite('trouble');

async function killServices(...names: string[]): Promise<ServiceRecord[]> {
  const records = await readServices(state());
  const killed = records.filter(({ name }) => names.includes(name));
  assert.is(killed.length, names.length);
  for (const { pid } of killed) process.kill(pid, 'SIGKILL');
  for (const record of killed) await until(async () => !(await isSameProcess(record)), `${record.name} ends`);
  return records.filter((record) => !killed.includes(record));
}

trouble('a sealed Vault is reported by status, refused by install, and unsealed by init-vault', async () => {
  await somebody('vault operator seal');
  assert.is((await status()).vault?.sealed, true);
  const said = /Vault .* is sealed\n {2}why: app1-back .*\n {2}do: run `.* init-vault`/;
  await refuses(['install-app', 'app1'], 1, said);
  await succeeds('init-vault');
  assert.match(await somebody('vault status'), /Sealed +false/);
});

trouble('a dead Vault and a dead database are named, and start-k8s starts only them', async () => {
  const others = await killServices('vault', 'postgresql');
  const { cluster, vault, database } = await status();
  assert.equal([cluster.state, vault, database], ['degraded', null, { reachable: false }]);
  const dead =
    /is degraded\n {2}why: postgresql does not run, vault does not run\n {2}do: run `.* start-k8s`/;
  await refuses(['install-app', 'app2'], 1, dead);
  await succeeds('start-k8s');
  assert.not((await Promise.all(others.map(isSameProcess))).includes(false));
});

trouble('pods that were marked as not ready, as after a suspended machine, become ready again', async () => {
  await somebody(`
    pod=pod/$(kubectl -n core get pods -o jsonpath='{.items[0].metadata.name}')
    kubectl -n core patch "$pod" --subresource=status -p '{"status":{"conditions":[{"type":"Ready","status":"False"}]}}'
    kubectl -n core wait "$pod" --for=condition=Ready --timeout=180s`);
});

trouble('a taken port is named, and start-k8s restores all but touches no process of others', async () => {
  await succeeds('stop-k8s');
  const { ports } = JSON.parse(await readFile(state('embedded.json'), 'utf8')) as EmbeddedState;
  const bystander = spawn('sleep', ['600']);
  const [cluster = ''] = await readdir(state('kwok', 'clusters'));
  await writeFile(state('kwok', 'clusters', cluster, 'pids', 'etcd.pid'), String(bystander.pid));

  const server = createServer().listen(ports.vault, '127.0.0.1');
  await once(server, 'listening');
  const taken = `port ${ports.vault} of vault is taken\\n {2}why: .*\\n {2}do: .*ss -ltnp`;
  await refuses(['start-k8s'], 1, new RegExp(taken));
  assert.equal(await leftovers(sandbox), []);
  await once(server.close(), 'close');
  const start = startRun(sandbox, ['start-k8s']);
  await start.shows(eventOf('done', 'embedded-kubernetes'));
  await killServices('kube-controller-manager');
  // On a busy machine, this run may have looked for dead servers before.
  const isLate = start.shown.includes(eventOf('started', 'start-k8s'));
  assert.is(await start.exit, 0, start.shown);
  if (isLate) await succeeds('start-k8s');
  const { cluster: now, vault, database } = await status();
  assert.equal([now.state, vault, database], ['running', openVault, { reachable: true }]);
  assert.is(bystander.exitCode ?? bystander.signalCode, null);
  bystander.kill();
});
