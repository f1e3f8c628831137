import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer, globalAgent, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Api, connectApi } from '../../../lib/cluster/embedded/api.ts';
import { makeCertificate } from '../../rig/certificate.ts';
import { environmentIn } from '../../rig/environment.ts';
import { portOf } from '../../rig/loopback.ts';
import { failureOf } from '../../rig/task-context.ts';

const folder = mkdtempSync(join(tmpdir(), 'api-'));
let answer: (response: ServerResponse) => void;
let server: Server;
let api: Api;

test.before(async () => {
  const environment = { ...environmentIn(folder), state: folder };
  const pki = join(folder, 'kwok', 'clusters', environment.clusterName, 'pki');
  mkdirSync(pki, { recursive: true });
  for (const name of ['ca', 'admin']) await makeCertificate(pki, name, ['IP:127.0.0.1']);
  const [cert, key] = ['ca.crt', 'ca.key'].map((file) => readFileSync(join(pki, file)));
  server = createServer({ cert, key }, (_, response) => answer(response));
  api = await connectApi(environment, await portOf(server));
});
test.after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

const message = async (promise: Promise<unknown>): Promise<string> => (await failureOf(promise)).message;

test('a truncated answer rejects the call without ending the process', async () => {
  answer = (response) => {
    response.setHeader('content-type', 'application/json').end('{"items": [');
  };
  assert.match(await message(api.call('GET', '/api/v1/nodes')), /JSON/);
});

test('a refused watch, or one without events in its output, is an error', async () => {
  const { signal } = new AbortController();
  const events: unknown[] = [];
  const watch = () => message(api.watch('/api/v1/pods', (event) => events.push(event), signal));
  answer = (response) => {
    response.statusCode = 403;
    response.end('{"kind":"Status","code":403}\n');
  };
  assert.is(await watch(), 'the API server answered HTTP 403');
  answer = (response) => response.end('{"type":"ADDED"}\n<html>\n');
  assert.match(await watch(), /JSON/);
  assert.equal(events, [{ type: 'ADDED' }]);
});

test('a watch does not use Node’s agent, which ends a quiet one and may lead to a proxy', async () => {
  const { createConnection } = globalAgent;
  globalAgent.destroy();
  globalAgent.createConnection = () => {
    throw new Error('not this one');
  };
  answer = (response) => response.end('{"type":"ADDED"}\n');
  const events: unknown[] = [];
  await api.watch('/api/v1/pods', (event) => events.push(event), new AbortController().signal);
  globalAgent.createConnection = createConnection;
  assert.equal(events, [{ type: 'ADDED' }]);
});

test.run();
