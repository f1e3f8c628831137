import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Api, connectApi } from '../../../lib/cluster/embedded/api.ts';
import { environmentOf } from '../../../lib/settings/environment.ts';
import { makeCertificate } from '../../rig/certificate.ts';

type State = {
  folder: string;
  server: Server;
  answer: (response: ServerResponse) => void;
  api: Api;
};

const test = suite<State>('embedded-api');

test.before(async (state) => {
  state.folder = mkdtempSync(join(tmpdir(), 'api-'));
  const environment = { ...environmentOf({ env: 'development', provider: 'embedded' }), state: state.folder };
  const pki = join(state.folder, 'kwok', 'clusters', environment.clusterName, 'pki');
  mkdirSync(pki, { recursive: true });
  for (const name of ['ca', 'admin']) await makeCertificate(pki, name, ['IP:127.0.0.1']);
  const [cert, key] = ['ca.crt', 'ca.key'].map((file) => readFileSync(join(pki, file)));
  state.server = createServer({ cert, key }, (_, response) => state.answer(response));
  await new Promise<void>((resolve) => {
    state.server.listen(0, '127.0.0.1', resolve);
  });
  state.api = await connectApi(environment, (state.server.address() as AddressInfo).port);
});
test.after(({ server, folder }) => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

const message = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no failure',
    (error: Error) => error.message,
  );

test('a truncated answer rejects the call without ending the process', async (state) => {
  state.answer = (response) => {
    response.setHeader('content-type', 'application/json').end('{"items": [');
  };
  assert.match(await message(state.api.call('GET', '/api/v1/nodes')), /JSON/);
});

test('a refused watch, or one without events in its output, is an error', async (state) => {
  const { signal } = new AbortController();
  const events: unknown[] = [];
  const watch = () => message(state.api.watch('/api/v1/pods', (event) => events.push(event), signal));
  state.answer = (response) => {
    response.statusCode = 403;
    response.end('{"kind":"Status","code":403}\n');
  };
  assert.is(await watch(), 'the API server answered HTTP 403');
  state.answer = (response) => response.end('{"type":"ADDED"}\n<html>\n');
  assert.match(await watch(), /JSON/);
  assert.equal(events, [{ type: 'ADDED' }]);
});

test.run();
