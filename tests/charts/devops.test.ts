import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bash } from '../rig/programs.ts';
import { containerOf, ofKind, only, podOf, refuses, render, type Tree } from './render.ts';
import { root, temporaryFolder } from './tools.ts';

/* The charts `devops` and `vault`. Rights of teams: tests/integration/environment. */

const test = suite('devops and vault');

const devops = (values: Tree = {}) => render('devops', { values });

// Which pods and containers they take: tests/integration/environment.
test('namespaces outlive the release and warn of pods that are not "restricted"', async () => {
  const made = ofKind(await devops(), 'Namespace');
  assert.is(made.length, 5);
  for (const { metadata } of made) {
    assert.is(metadata.annotations?.['helm.sh/resource-policy'], 'keep');
    for (const mode of ['audit', 'warn'])
      assert.is(metadata.labels?.[`pod-security.kubernetes.io/${mode}`], 'restricted', metadata.name);
  }
});

test('every group of a team is bound to its role, which grants no single named object', async () => {
  const objects = await devops({ teams: { backend: { groups: ['one', 'two'] } } });
  const { roleRef, subjects } = only(objects, 'RoleBinding', 'team-backend');
  assert.equal([roleRef.kind, roleRef.name], ['Role', 'team-backend']);
  const groups = subjects.map(({ kind, name }: Tree) => `${kind} ${name}`);
  assert.equal(groups, ['Group one', 'Group two']);
  for (const { rules } of ofKind(objects, 'Role'))
    assert.not.ok(rules.some((rule: object) => 'resourceNames' in rule));
});

test('a namespace closed in one direction has no policy that closes the other', async () => {
  for (const [closed, some] of [
    ['Ingress', 'accept-vault-backup'],
    ['Egress', 'vault-backup'],
  ] as const) {
    const also = { monitoring: { enabled: true }, vaultBackup: { enabled: true } };
    const objects = await devops({ ...also, namespaces: { vault: { isolate: [closed] } } });
    const policies = ofKind(objects, 'NetworkPolicy').filter(
      ({ metadata }) => metadata.namespace === 'vault',
    );
    only(policies, 'NetworkPolicy', some);
    for (const { metadata, spec } of policies) assert.equal(spec.policyTypes, [closed], metadata.name);
  }
});

test('a dropped team has no role, and a dropped namespace no object', async () => {
  const gone = { teams: { backend: null }, namespaces: { vault: null }, certificates: { 'vault-tls': null } };
  const objects = await devops(gone);
  assert.not.ok(objects.some(({ metadata }) => metadata.name === 'vault' || metadata.namespace === 'vault'));
  const names = ofKind(objects, 'Role').map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  assert.not.ok(names.some((name) => name.endsWith('team-backend')));
  assert.ok(names.includes('backend/team-devops'));
});

test('a team of an unknown namespace is refused, and a backup of Vault without its namespace', async () => {
  const team = (rights: Tree) => ({ teams: { backend: { groups: ['one'], ...rights } } });
  for (const [values, place] of [
    [team({ operates: ['bakcend'] }), 'teams.backend: namespaces.bakcend'],
    [team({ deploys: ['orders'] }), 'teams.backend: namespaces.orders'],
    [
      { vaultBackup: { enabled: true }, namespaces: { vault: null } },
      'vaultBackup.enabled: namespaces.vault',
    ],
  ] as const)
    await refuses('devops', values, `${place} does not exist`);
});

// What its values do: values.test.ts.
test('backups of Vault: an account for the task, and by the CronJob with its own token to a volume that is kept', async () => {
  const off = await devops();
  only(off, 'ServiceAccount', 'vault-backup');
  assert.equal(ofKind(off, 'CronJob'), []);
  const backup = { enabled: true, keep: 3, address: 'https://vault' };
  const objects = await devops({ vaultBackup: backup });
  const { metadata, spec } = only(objects, 'CronJob');
  assert.equal([metadata.namespace, spec.concurrencyPolicy], ['vault', 'Forbid']);
  const { serviceAccountName, volumes, containers } = podOf(objects, 'CronJob');
  assert.is(serviceAccountName, 'vault-backup');
  const variables = containers[0].env.map(({ name, value }: Tree) => `${name}=${value}`);
  const authority = 'VAULT_CACERT=/run/vault-tls/ca.crt';
  assert.equal(variables, ['VAULT_ADDR=https://vault', authority, 'KEEP=3', 'HOME=/tmp']);
  const login = volumes.find(({ name }: Tree) => name === 'login');
  assert.is(login.projected.sources[0].serviceAccountToken.audience, 'vault');
  const claim = only(objects, 'PersistentVolumeClaim');
  assert.is(claim.metadata.annotations?.['helm.sh/resource-policy'], 'keep');
  // it binds the claim, which helm waits for, where that takes a pod
  assert.equal(podOf(objects, 'Job').volumes, volumes);
  assert.equal(containerOf(objects, 'Job').command, ['test', '-w', '/backups']);
  const changed = await devops({ vaultBackup: { ...backup, image: { tag: '2.0.5' } } });
  assert.is.not(only(changed, 'Job').metadata.name, only(objects, 'Job').metadata.name);
  const other = await devops({ vaultBackup: { enabled: true, volume: { existingClaim: 'bucket' } } });
  assert.equal([...ofKind(other, 'PersistentVolumeClaim'), ...ofKind(other, 'Job')], []);
  const backups = podOf(other, 'CronJob').volumes.find(({ name }: Tree) => name === 'backups');
  assert.equal(backups.persistentVolumeClaim, { claimName: 'bucket' });
});

test('the script of the backup keeps a whole snapshot, and the newest of them', async () => {
  const folder = temporaryFolder();
  const backups = join(folder, 'backups');
  const script = await readFile(join(root, 'charts/devops/files/vault-backup.sh'), 'utf8');
  await writeFile(join(folder, 'backup.sh'), script.replaceAll('/backups', backups));
  await mkdir(backups);
  const [first, second] = ['vault-20250101T000000Z.snap', 'vault-20250102T000000Z.snap'];
  for (const name of [first, second, '.vault-20250103T000000Z.snap'])
    await writeFile(join(backups, name), 'old');
  const program = `#!/bin/sh
echo "$VAULT_TOKEN $*" >> "$CALLS"
case "$*" in *save*) shift 4; echo new > "$1" ;; *inspect*) exit "$BROKEN" ;; *login*) echo token ;; esac
`;
  await writeFile(join(folder, 'vault'), program, { mode: 0o755 });
  const calls = join(folder, 'calls');
  const run = (BROKEN: string) => {
    const env = { PATH: `${folder}:${process.env.PATH}`, KEEP: '2', CALLS: calls, BROKEN };
    return bash(`sh ${join(folder, 'backup.sh')}`, { folder, env });
  };
  const names = async () => (await readdir(backups)).filter((name) => !name.startsWith('.')).sort();
  assert.is((await run('1')).exitCode, 1);
  assert.equal(await names(), [first, second]);
  const { exitCode, stdout, stderr } = await run('0');
  assert.is(exitCode, 0, stderr);
  assert.match(stdout, /^saved vault-\d{8}T\d{6}Z\.snap\nremoved vault-20250101T000000Z\.snap\n$/);
  assert.is((await names()).length, 2);
  assert.match(await readFile(calls, 'utf8'), /token operator raft snapshot save \.vault/);
});

test("a server's certificate is a Secret, or is requested from cert-manager", async () => {
  const hosts = ['vault.vault.svc', '*.vault-internal', '127.0.0.1', '::1'];
  const issued = { namespace: 'vault', clusterIssuer: 'internal', hosts };
  const objects = await devops({ certificates: { 'vault-tls': issued } });
  assert.equal(ofKind(objects, 'Secret'), []);
  const { metadata, spec } = only(objects, 'Certificate');
  const names = [metadata.namespace, spec.secretName, spec.issuerRef.name];
  assert.equal(names, ['vault', 'vault-tls', 'internal']);
  assert.equal([spec.dnsNames, spec.ipAddresses], [hosts.slice(0, 2), hosts.slice(2)]);
});

test('pods wait for somebody who unseals them: they are replaced on demand, and start side by side', async () => {
  const objects = await render('vault');
  const { updateStrategy, podManagementPolicy } = only(objects, 'StatefulSet').spec;
  assert.equal([updateStrategy, podManagementPolicy], [{ type: 'OnDelete' }, 'Parallel']);
  const { readinessProbe, livenessProbe } = containerOf(objects, 'StatefulSet');
  // Sealed, or without a leader: not ready, and never restarted.
  assert.not.match(readinessProbe.httpGet.path, /sealedcode|haunhealthycode/);
  assert.match(livenessProbe.httpGet.path, /sealedcode=204&.*haunhealthycode=204/);
});

test('several servers join each other, and a budget keeps all but one, also those that are not ready', async () => {
  const objects = await render('vault', { values: { replicas: 3 } });
  const configuration = only(objects, 'ConfigMap').data['vault.hcl'] as string;
  const { metadata, spec } = only(objects, 'StatefulSet');
  assert.equal(
    configuration.match(/(?<=leader_api_addr += "https:\/\/)\S+(?=:8200")/g),
    [0, 1, 2].map((ordinal) => `${metadata.name}-${ordinal}.${spec.serviceName}`),
  );
  const { maxUnavailable, unhealthyPodEvictionPolicy } = only(objects, 'PodDisruptionBudget').spec;
  assert.equal([maxUnavailable, unhealthyPodEvictionPolicy], [1, 'IfHealthyBudget']);
  // With a single server, it would only block node drains.
  assert.equal(ofKind(await render('vault'), 'PodDisruptionBudget'), []);
  const active = ofKind(objects, 'Service').find(({ metadata }) => metadata.name.endsWith('-active'));
  assert.is(active?.spec.selector['vault-active'], 'true');
});

test('every server lets its keys alone generate a root token, for which Vault 2 wants a token otherwise', async () => {
  for (const file of [
    ...['charts/vault/files/vault.hcl', 'lib/cluster/embedded/vault.hcl'],
    ...['environments/common.yaml', 'environments/production/settings.yaml'],
  ])
    assert.match(
      await readFile(join(root, file), 'utf8'),
      /^ *disable_mlock = true\n *enable_unauthenticated_access = \["generate-root"\]$/m,
      file,
    );
});

test.run();
