import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bash } from '../rig/bash.ts';
import { ofKind, only, render, type Tree, tryRender } from './render.ts';
import { root } from './tools.ts';

/* The namespaces of the chart `devops`, their limits, and the teams. Rights of teams: tests/integration/environment. */

const test = suite('devops');

const devops = (values: Tree = {}) => render('devops', { values });
const namespaces = ['backend', 'core', 'database', 'frontend', 'vault'];

test('namespaces outlive the release, reject pods that are not "restricted", and have quotas and limits', async () => {
  const objects = await devops();
  const made = ofKind(objects, 'Namespace');
  assert.equal(made.map(({ metadata }) => metadata.name).sort(), namespaces);
  for (const { metadata } of made) {
    assert.is(metadata.annotations?.['helm.sh/resource-policy'], 'keep');
    for (const mode of ['enforce', 'audit', 'warn'])
      assert.is(metadata.labels?.[`pod-security.kubernetes.io/${mode}`], 'restricted', metadata.name);
  }
  for (const kind of ['ResourceQuota', 'LimitRange'])
    assert.equal(
      ofKind(objects, kind)
        .map(({ metadata }) => metadata.namespace)
        .sort(),
      namespaces,
    );
  for (const { metadata, spec } of ofKind(objects, 'LimitRange')) {
    if (!/^(back|front)end$/.test(metadata.namespace ?? '')) continue;
    const [limit] = spec.limits;
    assert.is(limit.type, 'Container');
    assert.equal(limit.defaultRequest, { cpu: '100m', memory: '100Mi' });
    assert.equal(limit.max, { cpu: '500m', memory: '500Mi' });
  }
});

test('every group of a team is bound to its role, which grants no single named object', async () => {
  const objects = await devops({ teams: { backend: { groups: ['one', 'two'] } } });
  const { roleRef, subjects } = only(objects, 'RoleBinding', 'team-backend');
  assert.equal(roleRef, { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'team-backend' });
  assert.equal(
    subjects.map(({ kind, name }: { kind: string; name: string }) => `${kind} ${name}`),
    ['Group one', 'Group two'],
  );
  for (const { rules } of ofKind(objects, 'Role'))
    assert.not.ok(rules.some((rule: object) => 'resourceNames' in rule));
});

test('a namespace closed in one direction has no policy that closes the other', async () => {
  for (const [closed, some] of [
    ['Ingress', 'accept-vault-backup'],
    ['Egress', 'vault-backup'],
  ] as const) {
    const namespaces = { vault: { isolate: [closed] } };
    const objects = await devops({
      monitoring: { enabled: true },
      vaultBackup: { enabled: true },
      namespaces,
    });
    const policies = ofKind(objects, 'NetworkPolicy').filter(
      ({ metadata }) => metadata.namespace === 'vault',
    );
    assert.ok(
      policies.some(({ metadata }) => metadata.name === some),
      closed,
    );
    for (const { metadata, spec } of policies) assert.equal(spec.policyTypes, [closed], metadata.name);
  }
});

test('a dropped team has no role, and a dropped namespace no object', async () => {
  const objects = await devops({
    teams: { backend: null },
    namespaces: { vault: null },
    certificates: { 'vault-tls': null },
  });
  assert.not.ok(objects.some(({ metadata }) => metadata.name === 'vault' || metadata.namespace === 'vault'));
  const names = ofKind(objects, 'Role').map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  assert.not.ok(names.some((name) => name.endsWith('team-backend')));
  assert.ok(names.includes('backend/team-devops'));
});

test('a team of an unknown namespace is refused, and a backup of Vault without its namespace', async () => {
  for (const [values, why] of [
    [{ teams: { backend: { groups: ['one'], operates: ['bakcend'] } } }, 'teams.backend: namespaces.bakcend'],
    [{ teams: { backend: { groups: ['one'], deploys: ['orders'] } } }, 'teams.backend: namespaces.orders'],
    [
      { vaultBackup: { enabled: true }, namespaces: { vault: null } },
      'vaultBackup.enabled: namespaces.vault',
    ],
  ] as const) {
    const { exitCode, stderr } = await tryRender('devops', { values });
    assert.is(exitCode, 1, why);
    assert.match(stderr, `${why} does not exist`);
  }
});

test('backups of Vault: an account for the task, and by the CronJob with its own token to a volume that is kept', async () => {
  const off = await devops();
  only(off, 'ServiceAccount', 'vault-backup');
  assert.equal(ofKind(off, 'CronJob'), []);
  const backup = {
    enabled: true,
    schedule: '5 4 * * *',
    keep: 3,
    address: 'https://vault-active.vault.svc:8200',
  };
  const objects = await devops({ vaultBackup: backup });
  const { metadata, spec } = only(objects, 'CronJob');
  assert.equal([metadata.namespace, spec.schedule, spec.concurrencyPolicy], ['vault', '5 4 * * *', 'Forbid']);
  const pod = spec.jobTemplate.spec.template.spec;
  const env = pod.containers[0].env.map(({ name, value }: Tree) => `${name}=${value}`);
  assert.equal(env, [
    'VAULT_ADDR=https://vault-active.vault.svc:8200',
    'VAULT_CACERT=/run/vault-tls/ca.crt',
    'KEEP=3',
    'HOME=/tmp',
  ]);
  assert.is(pod.serviceAccountName, 'vault-backup');
  const { serviceAccountToken } = pod.volumes.find(({ name }: Tree) => name === 'login').projected.sources[0];
  assert.is(serviceAccountToken.audience, 'vault');
  const claim = only(objects, 'PersistentVolumeClaim');
  assert.is(claim.metadata.annotations?.['helm.sh/resource-policy'], 'keep');
  // it binds the claim, which helm waits for, where that takes a pod
  const first = only(objects, 'Job');
  const { volumes: mounted, containers } = first.spec.template.spec;
  assert.equal(mounted, pod.volumes);
  assert.equal(containers[0].command, ['test', '-w', '/backups']);
  const changed = await devops({ vaultBackup: { ...backup, image: { tag: '2.0.5' } } });
  assert.is.not(only(changed, 'Job').metadata.name, first.metadata.name);
  const other = await devops({ vaultBackup: { enabled: true, volume: { existingClaim: 'bucket' } } });
  assert.equal(
    other.filter(({ kind }) => kind === 'PersistentVolumeClaim' || kind === 'Job'),
    [],
  );
  const volumes = only(other, 'CronJob').spec.jobTemplate.spec.template.spec.volumes;
  assert.equal(volumes.find(({ name }: Tree) => name === 'backups').persistentVolumeClaim, {
    claimName: 'bucket',
  });
});

test('the script of the backup keeps a whole snapshot, and the newest of them', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vault-backup-'));
  try {
    const script = await readFile(join(root, 'charts/devops/files/vault-backup.sh'), 'utf8');
    // The names of the folders in the pod.
    await writeFile(join(folder, 'backup.sh'), script.replaceAll('/backups', join(folder, 'backups')));
    await mkdir(join(folder, 'backups'));
    for (const name of [
      'vault-20250101T000000Z.snap',
      'vault-20250102T000000Z.snap',
      '.vault-20250103T000000Z.snap',
    ])
      await writeFile(join(folder, 'backups', name), 'old');
    const program =
      '#!/bin/sh\necho "$VAULT_TOKEN $*" >> "$CALLS"\ncase "$*" in\n*save*) shift 4; echo new > "$1" ;;\n*inspect*) exit "$BROKEN" ;;\n*login*) echo token ;;\nesac\n';
    await writeFile(join(folder, 'vault'), program, { mode: 0o755 });
    const run = (BROKEN: string) => {
      const env = { PATH: `${folder}:${process.env.PATH}`, KEEP: '2', CALLS: join(folder, 'calls'), BROKEN };
      return bash(`sh ${join(folder, 'backup.sh')}`, { folder, env });
    };
    assert.is((await run('1')).exitCode, 1);
    const names = async () =>
      (await readdir(join(folder, 'backups'))).filter((name) => !name.startsWith('.')).sort();
    assert.equal(await names(), ['vault-20250101T000000Z.snap', 'vault-20250102T000000Z.snap']);
    const { exitCode, stdout, stderr } = await run('0');
    assert.is(exitCode, 0, stderr);
    assert.match(stdout, /^saved vault-\d{8}T\d{6}Z\.snap\nremoved vault-20250101T000000Z\.snap\n$/);
    assert.is((await names()).length, 2);
    assert.match(await readFile(join(folder, 'calls'), 'utf8'), /token operator raft snapshot save \.vault/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a server's certificate is a Secret, or is requested from cert-manager", async () => {
  const hosts = ['vault.vault.svc', '*.vault-internal', '127.0.0.1', '::1'];
  const issued = { namespace: 'vault', clusterIssuer: 'internal', hosts };
  const objects = await render('devops', { values: { certificates: { 'vault-tls': issued } } });
  assert.equal(ofKind(objects, 'Secret'), []);
  const { metadata, spec } = only(objects, 'Certificate');
  assert.equal(
    [metadata.namespace, spec.secretName, spec.issuerRef.name],
    ['vault', 'vault-tls', 'internal'],
  );
  assert.equal([spec.dnsNames, spec.ipAddresses], [hosts.slice(0, 2), hosts.slice(2)]);
});

test.run();
