import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { connect } from 'node:tls';
import type { AnyTask } from '@k8s-deployment/runner';
import * as assert from 'uvu/assert';
import {
  type CertificateRequest,
  certificateCommands,
  certificateProblem,
  ensureCertificate,
} from '../../../lib/certificates/certificates.ts';
import { certificateFiles } from '../../../lib/certificates/files.ts';
import { recordService } from '../../../lib/cluster/embedded/services.ts';
import { needsOf } from '../../../lib/runner/task.ts';
import { ensureServerCertificates } from '../../../lib/vault/server-certificates.ts';
import { certificates } from '../../../tasks/certificates.ts';
import { diff, diffApp, diffTier, installAll, render } from '../../../tasks/deploy.ts';
import { serveTls } from '../../rig/loopback.ts';
import { context, scriptedSuite } from '../../rig/scripted-folder.ts';
import { standIn, useStandIns } from '../../rig/stand-in.ts';
import { fails } from '../../rig/task-context.ts';

const cnf = 'lib/certificates/certificates.cnf';
const { test, project } = scriptedSuite('certificates', 'minikube', 'environments', cnf);
useStandIns(test);

const host = 'app1-front.development.k8s-deployment.test';
const request: CertificateRequest = { name: 'app1-front', hosts: [host, 'localhost', '127.0.0.1'] };

const ensure = (change: Partial<CertificateRequest> = {}, now?: Date, of = context) =>
  ensureCertificate(of, { ...request, ...change }, now);

const problem = (change: Partial<CertificateRequest> = {}, now?: Date, of = context) =>
  certificateProblem(of.environment, { ...request, ...change }, now);

function print() {
  const commands = certificateCommands(context.environment, request);
  execFileSync('bash', ['-euc', commands.join('\n')], { cwd: project.folder, stdio: 'pipe' });
  return certificateFiles(context.environment, request.name);
}

const inDays = (days: number): Date => new Date(Date.now() + days * 24 * 60 * 60 * 1000);

/** Error of a client that trusts the CA and calls the server by this name; empty if it connects. */
async function handshake(files: { certificate: string; key: string; authority: string }, servername: string) {
  const port = await serveTls(files);
  const client = connect({ host: '127.0.0.1', port, servername, ca: readFileSync(files.authority) });
  try {
    await once(client, 'secureConnect');
    return '';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? '';
  } finally {
    client.destroy();
  }
}

test('a client that trusts the CA accepts the server’s names only', async () => {
  const files = await ensure();
  assert.is(files.outcome, 'changed');
  for (const name of ['localhost', host]) assert.is(await handshake(files, name), '');
  const other = host.replace('app1', 'app2');
  assert.is(await handshake(files, other), 'ERR_TLS_CERT_ALTNAME_INVALID');
  const words = ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile'];
  execFileSync('openssl', [...words, files.authority, files.certificate]);
  assert.is(new X509Certificate(readFileSync(files.certificate)).ca, false);
  assert.is(new X509Certificate(readFileSync(files.authority)).ca, true);
});

test('only the user can read the files, no partial file is left, and valid ones are not changed', async () => {
  const { authority, certificate } = await ensure();
  const folder = dirname(authority);
  assert.is(statSync(folder).mode & 0o777, 0o700);
  assert.equal(readdirSync(folder).sort(), ['app1-front.crt', 'app1-front.key', 'ca.crt', 'ca.key']);
  for (const name of ['ca.key', 'app1-front.key'])
    assert.is(statSync(join(folder, name)).mode & 0o777, 0o600, name);
  const before = readFileSync(certificate, 'utf8');
  assert.is((await ensure({}, inDays(59))).outcome, 'unchanged');
  assert.is(await problem({}, new Date(Date.now() - 60_000)), undefined);
  assert.is(readFileSync(certificate, 'utf8'), before);
});

for (const [title, days, says, provider, sameAuthority] of [
  ['a certificate is renewed 30 days before it expires, by the same CA', 61, 'app1-front', 'minikube', true],
  ['a CA that would expire before its certificates is recreated', 3600, 'the authority', 'minikube', false],
  ['what begins only later, as after a clock that ran ahead, too', -1, 'the authority', 'minikube', false],
  ['a CA that a team shares stays then', -1, 'app1-front', 'existing', true],
] as const)
  test(title, async () => {
    const files = await ensure();
    const authority = readFileSync(files.authority, 'utf8');
    const of = await project.context(provider);
    assert.match((await problem({}, inDays(days), of)) ?? '', `${says} is valid from`);
    assert.is((await ensure({}, inDays(days), of)).outcome, 'changed');
    assert.is(of.logged.length, sameAuthority ? 0 : 1);
    assert.is(readFileSync(files.authority, 'utf8') === authority, sameAuthority);
    assert.is(await handshake(files, 'localhost'), '');
  });

test('an unusable CA is never replaced', async () => {
  const files = await ensure();
  const folder = dirname(files.authority);
  const key = join(folder, 'ca.key');
  const whole = [readFileSync(files.authority, 'utf8'), readFileSync(key, 'utf8')] as const;
  for (const [path, text] of [
    [key, ''],
    [key, whole[1].slice(0, 60)],
    [files.authority, ''],
  ] as const) {
    writeFileSync(path, text);
    const advice = /^restore both .* or move .*certificates away/;
    await fails(ensure(), { what: /certificates\/ca\.crt or ca\.key is damaged$/, advice });
    assert.is(readFileSync(path, 'utf8'), text);
    writeFileSync(files.authority, whole[0]);
    writeFileSync(key, whole[1]);
  }
  assert.is((await ensure()).outcome, 'unchanged');
});

test('other hosts, a lost CA, a damaged file and a wrong key each lead to a new certificate', async () => {
  const files = await ensure();
  await ensure({ name: 'other', hosts: ['other.test'] });
  const folder = dirname(files.authority);
  const otherKey = () => writeFileSync(files.key, readFileSync(join(folder, 'ca.key')));
  const problems: [change: () => void, says: RegExp, hosts?: string[]][] = [
    [() => {}, /app1-front is for DNS:app1-front/, ['localhost']],
    [() => rmSync(files.authority), /^ca\.crt does not exist$/],
    [() => rmSync(join(folder, 'ca.key')), /^ca\.key does not exist$/],
    [() => writeFileSync(files.certificate, 'no certificate'), /app1-front is damaged/],
    [otherKey, /app1-front\.key belongs to another/],
  ];
  for (const [change, says, hosts = request.hosts] of problems) {
    await ensure();
    change();
    assert.match((await problem({ hosts })) ?? '', says);
    assert.is((await ensure({ hosts })).outcome, 'changed');
    assert.is(await handshake(files, 'localhost'), '');
  }
  const why = (part: string) =>
    new RegExp(`^replaced the .*: ca\\.${part} does not exist\\. .*install-tier apps`);
  const logged = context.logged.splice(0);
  for (const [index, part] of ['crt', 'key'].entries()) assert.match(logged[index] ?? '', why(part));
  assert.is(logged.length, 2);
  // Signed by the CA lost above.
  const other = await problem({ name: 'other', hosts: ['other.test'] });
  assert.match(other ?? '', 'other was signed by another authority');
});

test('two servers at the same time get certificates of one CA', async () => {
  for (const files of await Promise.all([ensure(), ensure({ name: 'postgresql' })]))
    assert.is(await handshake(files, 'localhost'), '');
});

test('a server loads a new certificate unless it is made only to render, and later one of then', async () => {
  const embedded = await project.context('embedded');
  const { state } = embedded.environment;
  // SIGHUP ends it.
  const server = await standIn('postgres');
  assert.ok(await recordService(state, 'postgresql', server.pid));
  assert.is(await ensureServerCertificates(embedded, { offline: true }), 'changed');
  assert.is(await ensureServerCertificates(embedded, { offline: false }), 'unchanged');
  assert.equal(await server.ended, [null, 'SIGHUP']);
});

/** The openssl of macOS: no environment variables in configurations, no newer options, world-readable keys. */
const libressl = `[ "$1" != version ] || { echo LibreSSL 3.3.6; exit 0; }
for word in "$@"; do
  case $word in -addext | -copy_extensions) echo "unknown option $word" >&2; exit 1 ;; esac
  [ ! -f "$word" ] || ! grep -q '[$]ENV::' "$word" || { echo "configuration file routines: variable has no value" >&2; exit 1; }
done
/usr/bin/openssl "$@" || exit
for word in "$@"; do [ "$before" != -keyout ] || chmod 644 "$word"; before=$word; done`;

test('the printed commands create the same, and both do with LibreSSL, the openssl of macOS', async () => {
  const works = async (files: ReturnType<typeof print>): Promise<void> => {
    assert.is(await problem(), undefined);
    assert.is(await handshake(files, 'localhost'), '');
    assert.is(statSync(files.key).mode & 0o777, 0o600);
    rmSync(context.environment.state, { recursive: true });
  };
  const before = readFileSync(print().certificate, 'utf8');
  assert.is(readFileSync(print().certificate, 'utf8'), before);
  await works(print());
  project.script('openssl', libressl);
  await works(await ensure());
  await works(print());
});

test('if openssl fails, nothing is created and the error names it; keys are created where the next run cleans up', async () => {
  project.script('openssl', 'echo "$@" >&2; exit 1');
  const { message } = await fails(ensure(), {});
  assert.match(message, /openssl.*-keyout \S+\/tmp\/run-/s);
  assert.equal(readdirSync(join(context.environment.state, 'certificates')), []);
});

test('what only renders or compares makes them for that alone', () => {
  const input = { args: {}, options: { env: 'development', provider: 'embedded' }, passThrough: [] };
  const made = (asked: AnyTask) => needsOf(asked, input).find(({ task }) => task === certificates)?.args;
  for (const only of [diff, diffTier, diffApp, render]) assert.equal(made(only), { offline: true });
  assert.equal(made(installAll), {});
});

test.run();
