import { execFileSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, parseAllDocuments } from 'yaml';
import { portBlock } from '../../../lib/cluster/embedded/ports.ts';
import { fillCommand, fillTemplate, type TemplateValues } from '../../../lib/cluster/embedded/template.ts';
import { root } from '../../../lib/ground/project.ts';
import { failureOf } from '../../rig/task-context.ts';

const ports = portBlock('0badcafe');
const templates: { readonly [file: string]: TemplateValues } = {
  'kwok.yaml': ports,
  'cluster.yaml': { vault: 20_001, postgresql: 20_003, auditLog: '/state/logs/vault-audit.log' },
  'node.yaml': { name: 'development-1', cpus: 2, memoryMB: 3072, kubernetesVersion: 'v1.31.0' },
  'vault.hcl': {
    ...{ data: '/state/vault/data', port: 20_001, clusterPort: 20_002 },
    ...{ certificate: '/state/certificates/vault.crt', key: '/state/certificates/vault.key' },
  },
};

for (const [file, values] of Object.entries(templates)) {
  test(`${file}: the printed command creates the same text as a run`, async () => {
    const text = await fillTemplate(file, values);
    assert.not.match(text.replace(/^#.*$/gm, ''), /\$\{/);
    assert.is(execFileSync('sh', ['-c', fillCommand(file, values)], { cwd: root, encoding: 'utf8' }), text);
  });
}

test('the simulated nodes’ configuration has the cluster’s ports, all on loopback', async () => {
  const documents = parseAllDocuments(await fillTemplate('kwok.yaml', ports)).map((one) => one.toJS());
  const { options } = documents.find(({ kind }) => kind === 'KwokctlConfiguration');
  assert.is(options.bindAddress, '127.0.0.1');
  assert.is(options.kubeApiserverPort, ports.kubeApiserver);
  assert.is(options.etcdPort, ports.etcd);
  const forwards = documents.filter(({ kind }) => kind === 'ClusterPortForward');
  assert.equal(
    forwards.map(({ metadata, spec }) => [metadata.name, spec.forwards[0].target]),
    [
      ['vault', { address: '127.0.0.1', port: ports.vault }],
      ['postgresql', { address: '127.0.0.1', port: ports.postgresql }],
    ],
  );
});

test('a node has the CPU and memory of the settings', async () => {
  const node = parse(await fillTemplate('node.yaml', templates['node.yaml'] ?? {}));
  assert.is(node.metadata.name, 'development-1');
  assert.is(node.metadata.labels['kubernetes.io/hostname'], 'development-1');
  assert.equal(node.status.capacity, { cpu: '2', memory: '3072M', pods: 110, 'ephemeral-storage': '20G' });
  assert.equal(node.status.allocatable, node.status.capacity);
  assert.is(node.status.nodeInfo.kubeletVersion, 'v1.31.0');
});

test('a name without a value is a bug and is named', async () => {
  const error = await failureOf(fillTemplate('cluster.yaml', {}));
  assert.match(error.message, /lib\/cluster\/embedded\/cluster\.yaml asks for \$\{vault\}/);
});

test.run();
