import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { settingsOf } from '../../../lib/settings/environment.ts';
import type { Settings } from '../../../lib/settings/settings.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf } from '../../rig/task-context.ts';

type State = { clone: ScriptedClone; lib: typeof import('../../../lib/operations/forward.ts') };

const test = suite<State>('forward');

test.before(async (state) => {
  state.clone = scriptedClone();
  state.lib = await state.clone.lib('operations/forward.ts');
});

test.before.each(({ clone }) => clone.forget());
test.after(({ clone }) => clone.remove());

/** Output of `forward` for a minikube whose forwarded ports lead to this server; stops once connected. */
async function printed(
  { clone, lib }: State,
  servers: Parameters<State['lib']['forward']>[1],
  json: boolean,
): Promise<string> {
  const server = createServer((_, response) => response.end('{"sealed":true,"initialized":true}'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const services = { items: [{ metadata: { name: 'traefik' }, spec: { ports: [{ port: 80 }] } }] };
  clone.script(
    'kubectl',
    `case "$*" in
*port-forward*) echo "Forwarding from 127.0.0.1:${port} -> 8200"; exec sleep 1000;;
*services*) echo '${JSON.stringify(services)}';;
*) echo '{"items":[]}';;
esac`,
  );
  const environment = await clone.environment('minikube');
  mkdirSync(environment.state, { recursive: true });
  const context = await clone.context('minikube');
  const stop = new AbortController();
  const known = await settingsOf(environment);
  const ingress = { ...known.ingress, tls: { ...known.ingress.tls, enabled: false } };
  const settings: Settings = { ...known, ingress };
  const log = (line: string) => {
    context.log(line);
    if (line === 'connected until the run ends') stop.abort();
  };
  const options = { ...context.options, json };
  await lib.forward({ ...context, environment, settings, options, log, signal: stop.signal }, servers);
  server.close();
  return context.printed.join('').replaceAll(String(port), 'PORT');
}

test('addresses are printed once all answer, in the form of `services`; then nothing is left', async (state) => {
  const text = await printed(state, ['ingress', 'vault'], false);
  assert.is(text, 'vault    http://127.0.0.1:PORT\ningress  http://127.0.0.1:PORT');
  const calls = state.clone.calls().filter((call) => call.includes('port-forward'));
  assert.ok(calls.some((call) => / -n vault port-forward svc\/vault \d*:8200 /.test(call)));
  assert.ok(calls.some((call) => / -n ingress port-forward svc\/traefik \d*:80 /.test(call)));
  assert.equal(JSON.parse(await printed(state, ['vault'], true)), [
    { name: 'vault', address: 'http://127.0.0.1:PORT' },
  ]);
});

test('without names it is all that can answer', async ({ clone, lib }) => {
  const target = async (provider: 'minikube' | 'embedded') => {
    const environment = await clone.environment(provider);
    return { environment, settings: await settingsOf(environment) };
  };
  assert.equal(lib.serversToForward(await target('embedded'), []), ['vault', 'postgresql']);
  const minikube = await target('minikube');
  assert.equal(lib.serversToForward(minikube, []), ['vault', 'postgresql', 'ingress']);
  const ingress = { ...minikube.settings.ingress, controller: 'none' as const };
  const without = { ...minikube, settings: { ...minikube.settings, ingress } };
  assert.equal(lib.serversToForward(without, []), ['vault', 'postgresql']);
  const embedded = await target('embedded');
  const error = await failureOf(Promise.resolve().then(() => lib.serversToForward(embedded, ['ingress'])));
  assert.is(error.exitCode, 2);
  assert.is(error.what, 'nothing answers behind the ingress of the embedded cluster');
});

test.run();
