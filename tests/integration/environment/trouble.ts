import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { readServices, type ServiceRecord } from '../../../lib/cluster/embedded/services.ts';
import type { EmbeddedState } from '../../../lib/cluster/embedded/state.ts';
import { isSameProcess } from '../../../lib/runner/process-identity.ts';
import { eventOf, leftovers, startRun } from '../live-run.ts';
import { processesOf } from '../sandbox.ts';
import {
  refuses,
  sandbox,
  scenario,
  settingsFile,
  somebody,
  state,
  status,
  succeeds,
  withFile,
} from './shared.ts';

/* Failures of a cluster: dead processes, a sealed Vault, ports in use, and a stopped cluster. */

const trouble = scenario('trouble');

const embedded = async (): Promise<EmbeddedState> =>
  JSON.parse(await readFile(state('embedded.json'), 'utf8')) as EmbeddedState;

/** Kills services, and returns the records of the others. */
async function killServices(...names: string[]): Promise<ServiceRecord[]> {
  const records = await readServices(state());
  for (const record of records.filter((record) => names.includes(record.name)))
    process.kill(record.pid, 'SIGKILL');
  return records.filter((record) => !names.includes(record.name));
}

trouble('status and install report a sealed Vault, and init-vault unseals it', async () => {
  await somebody('vault operator seal');
  assert.is((await status()).vault?.sealed, true);
  await withFile(
    settingsFile(),
    (text) => `${text}\n  app1-back: { replicas: 3 }\n`,
    () =>
      refuses(
        ['install-app', 'app1'],
        1,
        /Vault .* is sealed\n {2}why: app1-back .*\n {2}do: run `.* init-vault`/,
      ),
  );
  await succeeds('init-vault');
  assert.equal((await status()).vault, { initialized: true, sealed: false, configured: true });
});

trouble('a dead Vault and a dead database are named, and start-k8s starts only them', async () => {
  const others = await killServices('vault', 'postgresql');
  const { cluster, vault, database } = await status();
  assert.is(cluster.state, 'degraded');
  assert.is(vault, null);
  assert.equal(database, { reachable: false });
  const dead =
    /is degraded\n {2}why: postgresql does not run, vault does not run\n {2}do: run `.* start-k8s`/;
  await refuses(['install-app', 'app2'], 1, dead);
  await succeeds('start-k8s');
  assert.equal((await Promise.all(others.map(isSameProcess))).includes(false), false);
  assert.is((await status()).cluster.state, 'running');
});

trouble('pods that were marked as not ready, as after a suspended machine, become ready again', async () => {
  await somebody(`
    pod=pod/$(kubectl -n core get pods -o jsonpath='{.items[0].metadata.name}')
    kubectl -n core patch "$pod" --subresource=status -p '{"status":{"conditions":[{"type":"Ready","status":"False"}]}}'
    kubectl -n core wait "$pod" --for=condition=Ready --timeout=30s`);
});

trouble('stop-k8s ends every process', async () => {
  await succeeds('stop-k8s');
  assert.is((await status()).cluster.state, 'stopped');
  assert.equal(await processesOf(sandbox.folder), []);
});

trouble(
  'a port taken in the meantime is named, other processes are not touched, and start-k8s restores everything, services that end meanwhile included',
  async () => {
    const { ports } = await embedded();
    const bystander = spawn('sleep', ['600']);
    const pid = bystander.pid ?? 0;
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim();
    const record = { name: 'vault', pid, startTime: '1', bootId: boot };
    await mkdir(state('services'), { recursive: true });
    await writeFile(state('services', 'vault.json'), JSON.stringify(record));
    const clusters = state('kwok', 'clusters');
    const [cluster = ''] = await readdir(clusters);
    await writeFile(join(clusters, cluster, 'pids', 'etcd.pid'), String(pid));

    const server = createServer();
    await new Promise<void>((resolve) => server.listen(ports.vault, '127.0.0.1', resolve));
    await refuses(
      ['start-k8s'],
      1,
      new RegExp(`port ${ports.vault} of vault is taken\\n {2}why: .*\\n {2}do: .*ss -ltnp`),
    );
    assert.equal(await leftovers(sandbox), []);
    await new Promise((resolve) => server.close(resolve));
    const start = startRun(sandbox, ['start-k8s']);
    await start.shows(eventOf('done', 'embedded-kubernetes'));
    await killServices('kube-controller-manager');
    assert.is(await start.exit, 0, start.shown);
    const { cluster: now, vault, database } = await status();
    assert.is(now.state, 'running');
    assert.equal(vault, { initialized: true, sealed: false, configured: true });
    assert.equal(database, { reachable: true });
    assert.is(bystander.exitCode ?? bystander.signalCode, null);
    bystander.kill();
  },
);

trouble.runIfAsked();
