import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { createServer, Server } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, parseAllDocuments } from 'yaml';
import { applyManifests } from '../../../lib/cluster/embedded/apply.ts';
import { type Pod, type Result, workOff } from '../../../lib/cluster/embedded/job-pod.ts';
import { waitForTypes } from '../../../lib/cluster/embedded/operator.ts';
import { checkPorts, choosePorts, portBlock, portNames } from '../../../lib/cluster/embedded/ports.ts';
import { fillCommand, fillTemplate, type TemplateValues } from '../../../lib/cluster/embedded/template.ts';
import { isFree } from '../../../lib/ground/free-port.ts';
import { root } from '../../../lib/ground/project.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { onPlatform } from '../../../lib/runner/tests/rig/platform.ts';
import { scriptedApi } from '../../rig/scripted-api.ts';
import { fails, failureOf } from '../../rig/task-context.ts';

async function listening<Result>(port: number, body: () => Promise<Result>): Promise<Result> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  return body().finally(() => server.close());
}

test('a block of a key is consecutive, below the ports that clients use; those of other keys and steps do not overlap', () => {
  const keys = ['00000000', '00000001', '00000002', '0badcafe', 'ffffffff'];
  for (const key of keys) {
    const block = Object.values(portBlock(key));
    const [first = 0] = block;
    const consecutive = portNames.map((_, index) => first + index);
    assert.equal(block, consecutive, key);
    assert.ok(first >= 20_000 && (block.at(-1) ?? 0) < 32_768, key);
  }
  const [one = 0, two = 0, three] = keys.map((key) => portBlock(key).kubeApiserver);
  assert.is(new Set([one, two, three]).size, 3);
  assert.is(portBlock('00000000', 1).kubeApiserver, two);
  assert.is(Math.abs(two - one), portNames.length);
});

test('the next block is used if one port is taken', async () => {
  const ports = await choosePorts('00004321');
  await listening(ports.vault, async () => {
    const others = await choosePorts('00004321');
    assert.is(new Set([...Object.values(ports), ...Object.values(others)]).size, 2 * portNames.length);
  });
});

test('a taken port is reported with its purpose and a command that finds its user', async () => {
  const ports = await choosePorts('00009876');
  await checkPorts(ports);
  await listening(ports.vault, async () => {
    const taken = { what: `port ${ports.vault} of vault is taken`, exitCode: 1 };
    const [linux, macos] = [
      `ss -ltnp 'sport = :${ports.vault}'`,
      `lsof -nP -iTCP:${ports.vault} -sTCP:LISTEN`,
    ];
    await fails(checkPorts(ports), { ...taken, advice: new RegExp(linux) });
    const onMacos = () => fails(checkPorts(ports), { ...taken, advice: new RegExp(macos) });
    await onPlatform('darwin', {}, async () => void (await onMacos()));
  });
});

test('if listening fails in general, no port is reported as taken', async () => {
  const { listen } = Server.prototype;
  const error = Object.assign(new Error('listen EADDRNOTAVAIL'), { code: 'EADDRNOTAVAIL' });
  Server.prototype.listen = function refuse(this: Server) {
    queueMicrotask(() => this.emit('error', error));
    return this;
  };
  try {
    const what = /^cannot listen on 127\.0\.0\.1:\d+$/;
    for (const attempt of [isFree(20_000), choosePorts('00001234'), checkPorts({ api: 20_000 })])
      await fails(attempt, { what, why: 'listen EADDRNOTAVAIL' });
  } finally {
    Server.prototype.listen = listen;
  }
});

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

test('printed commands write the path of the clone as it is, also with characters of sed and YAML', () => {
  const cwd = join(temporaryFolder(), `it's "a" & $HOME | (clone)`);
  symlinkSync(root, cwd);
  const values = { ...templates['cluster.yaml'], auditLog: '$PWD/vault.log' };
  const env = { PATH: process.env.PATH, PWD: cwd };
  const text = execFileSync('sh', ['-c', fillCommand('cluster.yaml', values)], {
    cwd,
    env,
    encoding: 'utf8',
  });
  assert.is(parse(text).vault.auditLog, `${cwd}/vault.log`);
});

test('the simulated nodes’ configuration has the cluster’s ports, all on loopback', async () => {
  const documents = parseAllDocuments(await fillTemplate('kwok.yaml', ports)).map((one) => one.toJS());
  const { options } = documents.find(({ kind }) => kind === 'KwokctlConfiguration');
  const { bindAddress, kubeApiserverPort, etcdPort } = options;
  assert.equal([bindAddress, kubeApiserverPort, etcdPort], ['127.0.0.1', ports.kubeApiserver, ports.etcd]);
  const forwards = documents.filter(({ kind }) => kind === 'ClusterPortForward');
  assert.equal(
    forwards.map(({ metadata, spec }) => [metadata.name, spec.forwards[0].target]),
    [
      ['vault', { address: '127.0.0.1', port: ports.vault }],
      ['postgresql', { address: '127.0.0.1', port: ports.postgresql }],
    ],
  );
});

test('a node has the CPU and memory of the settings; a name without a value is a bug and is named', async () => {
  const { metadata, status } = parse(await fillTemplate('node.yaml', templates['node.yaml'] ?? {}));
  const names = [metadata.name, metadata.labels['kubernetes.io/hostname'], status.nodeInfo.kubeletVersion];
  assert.equal(names, ['development-1', 'development-1', 'v1.31.0']);
  const capacity = { cpu: '2', memory: '3072M', pods: 110, 'ephemeral-storage': '20G' };
  assert.equal([status.capacity, status.allocatable], [capacity, capacity]);
  const { message } = await failureOf(fillTemplate('cluster.yaml', {}));
  assert.match(message, /lib\/cluster\/embedded\/cluster\.yaml asks for \$\{vault\}/);
});

const { signal } = new AbortController();
const node = 'kind: Node\nmetadata:\n  name: one\n';

test('each document is sent unchanged to its path, until its namespace exists', async () => {
  const left = [404];
  const { api, calls } = scriptedApi(() => ({ status: left.shift() ?? 200 }));
  const account = 'kind: ServiceAccount\nmetadata:\n  name: reviewer\n  namespace: kube-system\n';
  await applyManifests(api, `# first\n---\n${account}`);
  const query = 'fieldManager=kubectl&force=true&fieldValidation=Strict';
  const path = `/api/v1/namespaces/kube-system/serviceaccounts/reviewer?${query}`;
  const call = { method: 'PATCH', path, body: `\n${account}`, type: 'application/apply-patch+yaml' };
  assert.equal(calls, [call, call]);
});

test('a refusal names the object and the reason, and an unknown kind is a bug', async () => {
  const { api } = scriptedApi(() => ({ status: 422, body: { message: 'because' } }));
  await fails(applyManifests(api, node), { what: 'the API server refuses Node `one`', why: 'because' });
  const unknown = await failureOf(applyManifests(api, node.replace('Node', 'Pod')));
  assert.is(unknown.message, 'cannot apply Pod `one`');
});

const types = ['keys', 'locks'];

/** An API whose discovery has `served`; `onPatch` is called with the name of a changed type. */
const scripted = (served: readonly string[] | Set<string>, onPatch: (name: string) => void = () => {}) => {
  const { api, calls } = scriptedApi((method, path) => {
    if (method === 'PATCH') onPatch(path.slice(path.lastIndexOf('/') + 1));
    const resources = [...served].map((name) => ({ name }));
    return resources.length === 0 ? { status: 404, body: 'not found' } : { body: { resources } };
  });
  return { api, called: () => calls.map(({ method, path }) => `${method} ${path}`) };
};

const hasty = { touchMs: 0, failMs: 60_000 };

test('an incomplete CRD is touched once and then awaited; served ones are not changed', async () => {
  const served = new Set(['keys', 'keys/status']);
  const { api, called } = scripted(served, (name) => served.add(name.split('.')[0] ?? ''));
  await waitForTypes(api, types, signal, hasty);
  const asked = 'GET /apis/secrets.hashicorp.com/v1beta1';
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  assert.equal(called(), [asked, `PATCH ${definitions}/locks.secrets.hashicorp.com`, asked]);
});

test('CRDs that are still not served are named; the wait ends with the run', async () => {
  for (const [served, missing] of [
    [['keys'], 'locks.secrets.hashicorp.com'],
    [[], 'keys.secrets.hashicorp.com, locks.secrets.hashicorp.com'],
  ] as const) {
    const waiting = waitForTypes(scripted(served).api, types, signal, { ...hasty, failMs: 0 });
    await fails(waiting, { what: `the API server does not serve ${missing}` });
  }
  const stop = new AbortController();
  const stopped = scripted(['keys'], () => stop.abort());
  assert.is((await failureOf(waitForTypes(stopped.api, types, stop.signal, hasty))).name, 'AbortError');
});

const pod: Pod = {
  metadata: { name: 'check', namespace: 'backend', uid: '1' },
  spec: { containers: [{ name: 'check', image: 'check:1' }] },
  status: { phase: 'Running' },
};

test('a pod gets its result, whatever call of the API server fails meanwhile', async () => {
  const troubles = ['GET', 'work', 'PATCH', 'refused'];
  const logged: string[] = [];
  const fails = (what: string): void => {
    if (troubles[0] === what) throw new Error(`no answer to ${troubles.shift()}`);
  };
  const { api, calls } = scriptedApi((method) => {
    fails(method);
    return method === 'PATCH' && troubles.shift() === 'refused' ? { status: 503 } : { body: pod };
  });
  const work = async (): Promise<Result> => {
    fails('work');
    return { ok: false, lines: ['ok one', 'FAILED two: why'] };
  };
  await workOff({ api, pod, signal, log: (text) => logged.push(text), pauseMs: 0 }, work);
  const no = ['GET', 'work', 'PATCH'].map((what) => `no answer to ${what}`);
  assert.equal(
    logged.filter((line) => line.startsWith('has no result yet')),
    [...no, 'its status was refused: HTTP 503'].map((reason) => `has no result yet: ${reason}`),
  );
  assert.is(logged.at(-1), 'failed');
  assert.is(calls.at(-1)?.path, '/api/v1/namespaces/backend/pods/check/status');
  const status = JSON.stringify(calls.at(-1)?.body);
  for (const part of ['"phase":"Failed"', '"exitCode":1,"reason":"Error","message":"FAILED two: why"'])
    assert.match(status, part);
});

test('nothing is done for a pod that is gone, replaced or done', async () => {
  for (const answer of [
    { status: 404 },
    { body: { ...pod, metadata: { ...pod.metadata, uid: '2' } } },
    { body: { ...pod, status: { phase: 'Succeeded' } } },
  ]) {
    const { api, calls } = scriptedApi(() => answer);
    const never = () => assert.unreachable();
    await workOff({ api, pod, signal, log: never, pauseMs: 0 }, async () => assert.unreachable() as never);
    assert.is(calls.length, 1);
  }
});

test.run();
