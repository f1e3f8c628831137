import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { globalAgent } from 'node:https';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { parseAllDocuments } from 'yaml';
import { type Api, connectApi } from '../../../lib/cluster/embedded/api.ts';
import { nodeManifests } from '../../../lib/cluster/embedded/apply.ts';
import { findAccount, otherUserWords } from '../../../lib/cluster/embedded/database.ts';
import { restoreKubeconfig } from '../../../lib/cluster/embedded/kubernetes.ts';
import { makeCertificate } from '../../rig/certificate.ts';
import { serveTls } from '../../rig/loopback.ts';
import { context, scriptedSuite, withSettings } from '../../rig/scripted-folder.ts';
import { fails, failureOf } from '../../rig/task-context.ts';

const { test, project } = scriptedSuite('embedded-api', 'embedded', 'environments');
let answer: (response: ServerResponse) => void;
let api: Api;

test.before(async () => {
  const { environment } = await project.context('embedded');
  const pki = join(environment.state, 'kwok', 'clusters', environment.clusterName, 'pki');
  mkdirSync(pki, { recursive: true });
  await makeCertificate(pki, 'admin', ['IP:127.0.0.1']);
  const server = await makeCertificate(pki, 'ca', ['IP:127.0.0.1']);
  api = await connectApi(environment, await serveTls(server, (_, response) => answer(response)));
  project.reset();
});

async function watched(): Promise<unknown> {
  const events: unknown[] = [];
  const watch = api.watch('/api/v1/pods', (event) => events.push(event), new AbortController().signal);
  return watch.then(
    () => events,
    (error: Error) => [error.message, ...events],
  );
}

test('a truncated answer rejects the call without ending the process', async () => {
  answer = (response) => {
    response.setHeader('content-type', 'application/json').end('{"items": [');
  };
  assert.match((await failureOf(api.call('GET', '/api/v1/nodes'))).message, /JSON/);
});

test('a refused watch, or one without events in its output, is an error', async () => {
  answer = (response) => {
    response.statusCode = 403;
    response.end('{"kind":"Status","code":403}\n');
  };
  assert.equal(await watched(), ['the API server answered HTTP 403']);
  answer = (response) => response.end('{"type":"ADDED"}\n<html>\n');
  const [message, ...events] = (await watched()) as string[];
  assert.match(message ?? '', /JSON/);
  assert.equal(events, [{ type: 'ADDED' }]);
});

test('a watch does not use Node’s agent, which ends a quiet one and may lead to a proxy', async () => {
  const { createConnection } = globalAgent;
  globalAgent.destroy();
  globalAgent.createConnection = () => {
    throw new Error('not this one');
  };
  answer = (response) => response.end('{"type":"ADDED"}\n');
  const events = await watched();
  globalAgent.createConnection = createConnection;
  assert.equal(events, [{ type: 'ADDED' }]);
});

async function applied(nodes: number, phase: 'creating' | 'created'): Promise<string[]> {
  const text = await nodeManifests(withSettings({ cluster: { nodes } }), phase);
  return parseAllDocuments(text).map((node) => node.toJS().metadata.name);
}

test('a new cluster, or a half created one, gets the number of nodes in the settings', async () => {
  assert.equal(await applied(3, 'creating'), ['development-1', 'development-2', 'development-3']);
  assert.is((await applied(2, 'creating')).length, 2);
});

test('an existing cluster keeps its nodes despite other settings, gets deleted ones back, and reports that', async () => {
  await applied(3, 'creating');
  await applied(3, 'created');
  assert.equal(context.logged, []);
  for (const nodes of [2, 5]) assert.is((await applied(nodes, 'created')).length, 3);
  assert.match(context.logged.join(), /^cluster\.nodes is 2, but the cluster keeps 3 until /);
});

test('a lost kubeconfig is restored, for the user alone', async () => {
  const { environment } = context;
  const folder = join(environment.state, 'kwok/clusters', environment.clusterName);
  const gone = (file: string) =>
    fails(restoreKubeconfig(context), {
      what: new RegExp(`^\\.state/development/.*${file} is missing or damaged, and cannot be restored$`),
      advice: /^restore it from a copy/,
    });
  await gone('kubeconfig');
  mkdirSync(join(folder, 'pki'), { recursive: true });
  const cut = 'clusters:\n- cluster:\n    server: https://127.0.0.1:1\n';
  writeFileSync(environment.kubeconfig, cut);
  const own = `${cut}users:\n- user:\n    client-key: admin.key\n`;
  writeFileSync(join(folder, 'kubeconfig.yaml'), own);
  for (const file of ['ca.crt', 'admin.crt', 'admin.key']) {
    await gone(`pki/${file}`);
    writeFileSync(join(folder, 'pki', file), '');
  }
  assert.is(await restoreKubeconfig(context), true);
  assert.is(readFileSync(environment.kubeconfig, 'utf8'), own);
  assert.is(statSync(environment.kubeconfig).mode & 0o777, 0o600);
  assert.is(await restoreKubeconfig(context), false);
  // Without its own copy, kwokctl waits for ever.
  rmSync(join(folder, 'kubeconfig.yaml'));
  assert.is(await restoreKubeconfig(context), true);
  assert.is(readFileSync(join(folder, 'kubeconfig.yaml'), 'utf8'), own);
});

if (process.getuid?.() === 0) {
  test('another user finds and starts a program in a folder that only root may enter', () => {
    project.script('program', 'id -u');
    const program = join(project.folder, '../bin/program');
    assert.is(statSync(join(project.folder, '..')).mode & 0o777, 0o700);
    const [setpriv = '', ...words] = otherUserWords({ uid: 65534, gid: 65534 });
    // As initdb looks for its server: by access(2), which counts the user, not what it may do.
    const look = 'require("fs").accessSync(process.argv[1], 1)';
    execFileSync(setpriv, [...words, process.execPath, '-e', look, program]);
    const output = execFileSync(setpriv, [...words, program], { encoding: 'utf8' });
    assert.is(output.trim(), '65534');
  });

  test('where root cannot switch users, the error says what was tried and what to install', async () => {
    project.script('unshare', 'echo "unshare: no namespaces" >&2; exit 1');
    project.script('setpriv', 'echo "setpriv: no such option" >&2; exit 1');
    await fails(findAccount('postgres', context.$), {
      what: 'postgres does not run as root',
      why: 'unshare: no namespaces\nsetpriv: no such option',
      advice: /setpriv of util-linux/,
    });
  });
} else {
  test('a user with an account runs the programs itself', async () => {
    assert.equal((await findAccount('initdb', context.$)).words, []);
  });
}

test.run();
