import { createServer } from 'node:net';
import * as assert from 'uvu/assert';
import { keepForward, withPortForward } from '../../../lib/kubernetes/port-forward.ts';
import { portOf } from '../../rig/loopback.ts';
import { context, forwarding as forwardingTo, listing, scriptedSuite } from '../../rig/scripted-folder.ts';
import { fails } from '../../rig/task-context.ts';

const { test, project } = scriptedSuite('port-forward', 'minikube', 'environments');

const vault = { namespace: 'vault', resource: 'svc/vault', port: 8200 };
const unreachable = 'svc/vault of the namespace vault cannot be reached';
const forwarding = forwardingTo(40123);
const use = (waitMs?: number) =>
  withPortForward(context, { ...vault, ...(waitMs !== undefined && { waitMs }) }, async () => undefined);

test('a forwarded port is used as soon as kubectl names it, and kubectl is ended afterwards, also when its use fails', async () => {
  const second = 'echo "Forwarding from [::1]:40123 -> 8200"';
  project.script('kubectl', `echo "$$" >> "$CALLS"; ${forwarding.replace('exec', `${second}; exec`)}`);
  for (const failure of [undefined, new Error('sealed')]) {
    project.forget();
    const using = withPortForward(context, vault, async (connection) => {
      if (failure !== undefined) throw failure;
      return connection;
    });
    if (failure === undefined) assert.equal(await using, { host: '127.0.0.1', port: 40123 });
    else assert.is(await using.catch((error) => error), failure);
    const [call, pid] = project.calls();
    assert.match(call ?? '', /-n vault port-forward svc\/vault :8200 --address 127\.0\.0\.1$/);
    assert.throws(() => process.kill(Number(pid), 0), /ESRCH/);
  }
});

/** A kubectl whose port-forwards do these in turn, the last of them again and again; pods as given. */
function attempts(bodies: readonly string[], ...pods: readonly object[]): void {
  const cases = bodies.map((body, index) => `${index === bodies.length - 1 ? '*' : index + 1}) ${body};;`);
  project.script('kubectl', {
    'get pods': listing(...pods),
    '': `case $(grep -c port-forward "$CALLS") in\n${cases.join('\n')}\nesac`,
  });
}

const gone = 'echo first >&2; echo \'Error from server (NotFound): services "vault" not found\' >&2; exit 1';
const notThere =
  'echo "error: error upgrading connection: unable to upgrade connection: pod does not exist" >&2; exit 1';

test('a pod that kubectl does not reach yet, or whose server does not answer, is tried again', async () => {
  attempts([notThere, forwarding]);
  let asked = 0;
  const answers = async () => {
    asked += 1;
    return asked === 2;
  };
  const told: string[] = [];
  const used = await withPortForward(
    { ...context, progress: (text) => told.push(text) },
    { ...vault, waitMs: 60_000, answers },
    async ({ port }) => port,
  );
  assert.is(used, 40123);
  assert.is(project.calls().length, 4, 'the use has another forward than the check');
  assert.match(told[0] ?? '', /^waiting for svc\/vault of the namespace vault: .*pod does not exist$/);
  assert.match(told[1] ?? '', 'the pod does not answer');
});

test('when time is up, the error gives the last reason and what is wrong with the pods of the namespace', async () => {
  const waiting = { reason: 'CrashLoopBackOff' };
  const pod = (namespace: string) => ({
    metadata: { namespace, name: 'vault-0' },
    status: { phase: 'Running', containerStatuses: [{ name: 'vault', state: { waiting } }] },
  });
  attempts([notThere], pod('vault'), pod('other'));
  const why = /pod does not exist\npod vault\/vault-0: container vault: CrashLoopBackOff$/;
  await fails(use(1), { what: unreachable, why });
});

test('missing objects are not waited for, and status waits for nothing', async () => {
  for (const [body, waitMs, why] of [
    [gone, 60_000, 'Error from server (NotFound): services "vault" not found'],
    [notThere, 0, /pod does not exist/],
  ] as const) {
    attempts([body]);
    project.forget();
    await fails(use(waitMs), { why });
    assert.is(project.calls('port-forward').length, 1);
  }
});

test('a lasting forward connects again from the same port when kubectl ends, until the run stops', async () => {
  const lost =
    'echo "Forwarding from 127.0.0.1:40123 -> 8200"; echo "error: lost connection to pod" >&2; exit 1';
  attempts([forwarding, lost, notThere, forwarding]);
  const stop = new AbortController();
  const news: string[] = [];
  await keepForward(
    { ...context, signal: stop.signal },
    { ...vault, waitMs: 60_000, answers: async () => true },
    {
      onOpen: ({ port }) => {
        news.push(`open at ${port}`);
        if (news.length === 3) stop.abort();
      },
      onLost: (reason) => news.push(reason),
    },
    1,
  );
  const open = 'open at 40123';
  assert.equal(news, [open, 'error: lost connection to pod', open]);
  const ports = project.calls().flatMap((call) => / (\d*:8200) /.exec(call)?.[1] ?? []);
  assert.equal(ports, [':8200', ':8200', ':8200', ':8200', '40123:8200']);
});

test('a lasting forward is looked at by connections without data, which can reset none of the user', async () => {
  const stop = new AbortController();
  const seen: string[] = [];
  const server = createServer((socket) => {
    socket.on('data', (data) => seen.push(`data ${data}`));
    socket.on('error', ({ message }) => seen.push(message));
    socket.on('end', () => seen.push('end'));
    socket.on('close', () => seen.length > 2 && stop.abort());
  });
  attempts([forwardingTo(await portOf(server))]);
  const news = { onOpen: () => {}, onLost: (reason: string) => seen.push(reason) };
  await keepForward({ ...context, signal: stop.signal }, vault, news, 10);
  assert.equal([...new Set(seen)], ['end']);
});

test('a lasting forward fails as a short one when the API server does not have it any more', async () => {
  attempts([forwarding.replace('exec sleep 1000', 'exit 1'), gone]);
  const news = { onOpen: () => {}, onLost: () => {} };
  const lasting = keepForward(context, { ...vault, waitMs: 60_000 }, news);
  await fails(lasting, { why: /services "vault" not found/ });
});

test.run();
