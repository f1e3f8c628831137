import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { withPostgresql } from '../../../lib/cluster/cluster.ts';
import { forward, forwardCommands, serversToForward } from '../../../lib/operations/forward.ts';
import { rotationCommands } from '../../../lib/rotation/dry-run.ts';
import { makeCertificate } from '../../rig/certificate.ts';
import { scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf, targetOf } from '../../rig/task-context.ts';

const project = scriptedFolder('environments');

test.after(project.remove);

/** Output of `forward` for a minikube whose forwarded ports lead to this server; stops once connected. */
async function printed(servers: Parameters<typeof forward>[1], json: boolean): Promise<string> {
  const context = await project.context('minikube');
  const { environment, settings } = context;
  const folder = join(environment.state, 'certificates');
  mkdirSync(folder, { recursive: true });
  const made = await makeCertificate(folder, 'ca', ['DNS:vault.vault.svc']);
  const [key, cert] = [readFileSync(made.key), readFileSync(made.certificate)];
  const vault = createTlsServer({ key, cert }, (_, response) =>
    response.end('{"sealed":true,"initialized":true}'),
  );
  const ingressServer = createServer((_, response) => response.end());
  const [vaultPort, port] = await Promise.all(
    [vault, ingressServer].map(async (server) => {
      await once(server.listen(0, '127.0.0.1'), 'listening');
      return (server.address() as AddressInfo).port;
    }),
  );
  const services = { items: [{ metadata: { name: 'traefik' }, spec: { ports: [{ port: 80 }] } }] };
  project.script(
    'kubectl',
    `case "$*" in
*svc/vault*) echo "Forwarding from 127.0.0.1:${vaultPort} -> 8200"; exec sleep 1000;;
*port-forward*) echo "Forwarding from 127.0.0.1:${port} -> 8200"; exec sleep 1000;;
*services*) echo '${JSON.stringify(services)}';;
*) echo '{"items":[]}';;
esac`,
  );
  const stop = new AbortController();
  const ingress = { ...settings.ingress, tls: { ...settings.ingress.tls, enabled: false } };
  const log = (line: string) => {
    if (line === 'open until Ctrl-C') stop.abort();
  };
  const options = { ...context.options, json };
  const { signal } = stop;
  await forward({ ...context, settings: { ...settings, ingress }, options, log, signal }, servers);
  vault.close();
  ingressServer.close();
  return context.printed.join('').replace(/:\d+/g, ':PORT');
}

test('addresses are printed once all answer, in the form of `services`; then nothing is left', async () => {
  const text = await printed(['ingress', 'vault'], false);
  assert.is(text, 'vault    https://127.0.0.1:PORT\ningress  http://127.0.0.1:PORT');
  const calls = project.calls().filter((call) => call.includes('port-forward'));
  assert.ok(calls.some((call) => / -n vault port-forward svc\/vault \d*:8200 /.test(call)));
  assert.ok(calls.some((call) => / -n ingress port-forward svc\/traefik \d*:80 /.test(call)));
  assert.equal(JSON.parse(await printed(['vault'], true)), [
    { name: 'vault', address: 'https://127.0.0.1:PORT' },
  ]);
});

test('without names it is all that can answer', async () => {
  const embedded = await project.context('embedded');
  assert.equal(serversToForward(embedded, []), ['vault', 'postgresql']);
  const minikube = await project.context('minikube');
  assert.equal(serversToForward(minikube, []), ['vault', 'postgresql', 'ingress']);
  const ingress = { ...minikube.settings.ingress, controller: 'none' as const };
  const without = { ...minikube, settings: { ...minikube.settings, ingress } };
  assert.equal(serversToForward(without, []), ['vault', 'postgresql']);
  const error = await failureOf((async () => serversToForward(embedded, ['ingress']))());
  assert.is(error.exitCode, 2);
  assert.is(error.what, 'nothing answers behind the ingress of the embedded cluster');
});

test('PostgreSQL is reached at the port of the settings', async () => {
  const { environment, settings } = await targetOf({ env: 'development', provider: 'minikube' });
  const other = { environment, settings: { ...settings, database: { ...settings.database, port: 6543 } } };
  project.script('kubectl', 'echo "Forwarding from 127.0.0.1:40123 -> 5432"; exec sleep 1000');
  const use = async ({ port }: { port: number }) => port;
  assert.is(await withPostgresql({ ...(await project.context('minikube')), ...other }, use, 0), 40123);
  assert.match(project.calls().at(-1) ?? '', / -n database port-forward svc\/postgresql :6543 /);
  for (const commands of [forwardCommands(other, ['postgresql']), rotationCommands(other, 'app2')])
    assert.match((await commands).join('\n'), /port-forward svc\/postgresql (?:6543:)?6543 /);
});

test.run();
