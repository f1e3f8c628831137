import { createServer } from 'node:http';
import * as assert from 'uvu/assert';
import { withPostgresql } from '../../../lib/cluster/cluster.ts';
import { forward, forwardCommands, serversToForward } from '../../../lib/operations/forward.ts';
import { rotationCommands } from '../../../lib/rotation/dry-run.ts';
import { makeAuthority } from '../../rig/certificate.ts';
import { portOf, serveTls } from '../../rig/loopback.ts';
import { context, forwarding, listing, scriptedSuite, withSettings } from '../../rig/scripted-folder.ts';
import { fails } from '../../rig/task-context.ts';

const { test, project } = scriptedSuite('forward', 'minikube', 'environments', 'vault');

/** Output of `forward` for a minikube whose forwarded ports lead to this server; stops once connected. */
async function printed(servers: Parameters<typeof forward>[1], json: boolean): Promise<string> {
  const vault = await serveTls(await makeAuthority(context.environment), (_, response) =>
    response.end('{"sealed":true,"initialized":true}'),
  );
  const ingressServer = createServer((_, response) => response.end());
  project.script('kubectl', {
    'svc/vault': forwarding(vault),
    'port-forward': forwarding(await portOf(ingressServer)),
    services: listing({ metadata: { name: 'traefik' }, spec: { ports: [{ port: 80 }] } }),
    '': listing(),
  });
  const stop = new AbortController();
  const log = (line: string) => {
    if (line === 'open until Ctrl-C') stop.abort();
  };
  context.printed.length = 0;
  const plain = withSettings({ ingress: { tls: { enabled: false } } });
  const options = { ...context.options, json };
  await forward({ ...plain, options, log, signal: stop.signal }, servers);
  return context.printed.join('').replace(/:\d+/g, ':PORT');
}

test('addresses are printed once all answer, in the form of `services`; then nothing is left', async () => {
  const text = await printed(['ingress', 'vault'], false);
  assert.is(text, 'vault    https://127.0.0.1:PORT\ningress  http://127.0.0.1:PORT');
  assert.ok(project.calls(/ -n vault port-forward svc\/vault \d*:8200 /).length > 0);
  assert.ok(project.calls(/ -n ingress port-forward svc\/traefik \d*:80 /).length > 0);
  assert.equal(JSON.parse(await printed(['vault'], true)), [
    { name: 'vault', address: 'https://127.0.0.1:PORT' },
  ]);
});

test('without names it is all that can answer', async () => {
  const embedded = await project.context('embedded');
  assert.equal(serversToForward(embedded, []), ['vault', 'postgresql']);
  assert.equal(serversToForward(context, []), ['vault', 'postgresql', 'ingress']);
  const without = withSettings({ ingress: { controller: 'none' } });
  assert.equal(serversToForward(without, []), ['vault', 'postgresql']);
  const what = 'nothing answers behind the ingress of the embedded cluster';
  await fails((async () => serversToForward(embedded, ['ingress']))(), { exitCode: 2, what });
});

test('PostgreSQL is reached at the port of the settings, and verified by its issuer', async () => {
  const releases = { postgresql: { tls: { existingSecret: 'postgresql-tls' } } };
  const other = withSettings({ database: { port: 6543 }, releases });
  project.script('kubectl', forwarding(40123));
  const use = async ({ port }: { port: number }) => port;
  assert.is(await withPostgresql(other, use, 0), 40123);
  assert.match(project.calls().at(-1) ?? '', / -n database port-forward svc\/postgresql :6543 /);
  for (const commands of [forwardCommands(other, ['postgresql']), rotationCommands(other, 'app2')])
    assert.match((await commands).join('\n'), /port-forward svc\/postgresql (?:6543:)?6543 /);
  // The file ends with its command.
  assert.match((await rotationCommands(other, 'app2')).join('\n'), / \| PGSSLROOTCERT=<\(.*\) psql /);
});

test.run();
