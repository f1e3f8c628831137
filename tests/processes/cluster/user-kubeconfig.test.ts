import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { connectExisting, connectionAdvice } from '../../../lib/cluster/existing/user-kubeconfig.ts';
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf } from '../../rig/task-context.ts';

const test = suite('the user’s kubeconfig');
const { KUBECONFIG } = process.env;

const clone = scriptedFolder('environments');
const { environment } = await clone.context('existing');
let context: CloneContext;

/** Sets kubectl's answers about the user's kubeconfig. */
function users(kubeconfig: object | string): void {
  const view = join(clone.folder, '..', 'view');
  writeFileSync(view, JSON.stringify(kubeconfig));
  clone.script('kubectl', typeof kubeconfig === 'string' ? kubeconfig : `cat '${view}'`);
}

const copy = () => JSON.parse(readFileSync(environment.kubeconfig, 'utf8'));

test.before.each(async () => {
  context = await clone.context('existing');
  process.env.KUBECONFIG = '/some/team/config';
});
test.after.each(() => clone.reset());
test.after(() => {
  if (KUBECONFIG === undefined) delete process.env.KUBECONFIG;
  else process.env.KUBECONFIG = KUBECONFIG;
  clone.remove();
});

const withUser = (user: object, server = 'https://one') => ({
  clusters: [{ cluster: { server } }],
  users: [{ user }],
});
const gone = 'echo "error: cannot locate context some-context" >&2; exit 1';

test('only the context is copied to the environment’s kubeconfig, readable by the user only', async () => {
  users(withUser({ token: 'first' }));
  await connectExisting(context);
  assert.equal(copy(), withUser({ token: 'first' }));
  assert.is(statSync(environment.kubeconfig).mode & 0o777, 0o600);
  assert.equal(context.logged, []);
});

test('a new token is copied, and logged once', async () => {
  users(withUser({ token: 'first' }));
  await connectExisting(context);
  users(withUser({ token: 'second' }));
  await connectExisting(context);
  await connectExisting(context);
  assert.equal(copy(), withUser({ token: 'second' }));
  assert.equal(context.logged, ['context `some-context` changed in your kubeconfig: updated the copy']);
});

test('an environment keeps its cluster when the context points to another one', async () => {
  users(withUser({ token: 'first' }));
  await connectExisting(context);
  users(withUser({ token: 'second' }, 'https://two'));
  await connectExisting(context);
  assert.equal(copy(), withUser({ token: 'first' }));
  const moved = 'context `some-context` of your kubeconfig leads to another server, https://two';
  assert.equal(context.logged, [`${moved}: the environment stays with https://one`]);
  assert.is(
    await connectionAdvice(context, ''),
    `${moved}; if it is the same cluster, \`rm .state/development/kubeconfig\` and run again`,
  );
});

test('commands in an error can be pasted, whatever the context’s name', async () => {
  const other = { ...context, environment: { ...environment, context: 'team a;b' } };
  users('echo "error: yaml: line 1" >&2; exit 1');
  const unread = await failureOf(connectExisting(other));
  assert.match(unread.advice ?? '', "kubectl config view --minify --context 'team a;b'");
  users(withUser({ token: 'first' }));
  await connectExisting(other);
  const advice = await connectionAdvice(other, '');
  assert.match(advice, "kubectl --context 'team a;b' get nodes");
});

test('the advice for a user’s plugin says how it gets its variables', async () => {
  const failed = 'getting credentials: exec: executable acme failed with exit code 1';
  const advice = async (interactiveMode: string, said: string): Promise<string> => {
    users(withUser({ exec: { command: 'acme', interactiveMode } }));
    await connectExisting(context);
    return connectionAdvice(context, said);
  };
  const listed = 'the variables that `acme` needs to environments/variables.json: programs get no others';
  for (const said of [failed, 'You must be logged in to the server (Unauthorized)']) {
    const text = await advice('Never', said);
    assert.match(text, /^make this work, .*: kubectl --context some-context get nodes\n/);
    assert.match(text, listed);
  }
  for (const said of ['exec: executable acme not found', 'dial tcp: connection refused'])
    assert.match(await advice('IfAvailable', said), /get nodes$/);
  const always = await advice('Always', 'exec plugin cannot support interactive mode');
  assert.match(
    always,
    /^`acme` cannot ask you anything here: log in first, .* interactiveMode .* IfAvailable or Never/,
  );
});

for (const [title, script, advice] of [
  ['has lost the context', gone, /but: unknown kube context `some-context`; restore it there/],
  ['cannot be read', 'echo "error: yaml: line 1" >&2; exit 1', /but: your kubeconfig \(.*\) does not give/],
  ['is read by a kubectl that is killed', 'kill -KILL $$', /but: your kubeconfig \(.*\) does not give/],
] as const) {
  test(`the copy stays while the user’s kubeconfig ${title}, and the advice says so`, async () => {
    users(withUser({ token: 'first' }));
    await connectExisting(context);
    users(script);
    await connectExisting(context);
    assert.equal(copy(), withUser({ token: 'first' }));
    assert.equal(context.logged, []);
    assert.match(await connectionAdvice(context, ''), advice);
  });
}

test('a damaged copy is replaced', async () => {
  users(withUser({ token: 'first' }));
  await connectExisting(context);
  for (const text of ['', '{"clu', 'a: [']) {
    writeFileSync(environment.kubeconfig, text);
    await connectExisting(context);
    assert.equal(copy(), withUser({ token: 'first' }), text);
  }
});

test('relative paths in the user’s kubeconfig become absolute', async () => {
  const places = [join(clone.folder, '..', 'a'), join(clone.folder, '..', 'b')];
  for (const place of places) mkdirSync(place);
  writeFileSync(join(places[1] ?? '', 'token'), '');
  process.env.KUBECONFIG = places.map((place) => join(place, 'config')).join(':');
  const copied = async (user: object): Promise<object | undefined> => {
    rmSync(environment.kubeconfig, { force: true });
    users(withUser(user));
    await connectExisting(context);
    return copy().users?.[0]?.user;
  };
  assert.equal(await copied({ tokenFile: 'token' }), { tokenFile: join(places[1] ?? '', 'token') });
  assert.equal(await copied({ tokenFile: '/run/token' }), { tokenFile: '/run/token' });
  const exec = (command: string) => ({ exec: { command } });
  assert.equal(await copied(exec('./plugin')), exec(join(places[0] ?? '', 'plugin')));
  assert.equal(await copied(exec('aws')), exec('aws'));
});

test('the user’s files are those of KUBECONFIG, without the copies of environments, else the default', async () => {
  users('echo "$KUBECONFIG" >&2; exit 1');
  const files = async (KUBECONFIG: string): Promise<string | undefined> => {
    process.env.KUBECONFIG = KUBECONFIG;
    return (await failureOf(connectExisting(context))).why;
  };
  assert.is(await files('/one:/two'), '/one:/two');
  assert.is(await files(`${environment.kubeconfig}:/two`), '/two');
  assert.match((await files(environment.kubeconfig)) ?? '', /\/\.kube\/config$/);
  assert.match((await files('')) ?? '', /\/\.kube\/config$/);
});

test('an unknown context is a usage error that lists the existing ones', async () => {
  users(`case "$*" in *get-contexts*) printf 'team-a\\nteam-b\\n';; *) ${gone};; esac`);
  const error = await failureOf(connectExisting(context));
  assert.is(error.exitCode, 2);
  assert.is(error.what, 'unknown kube context `some-context`');
  assert.is(error.why, 'your kubeconfig (/some/team/config) has: team-a, team-b');
});

test('an unreadable kubeconfig is not reported as an unknown context', async () => {
  for (const [script, why] of [
    ['echo "error: yaml: line 1" >&2; exit 1', 'error: yaml: line 1'],
    ['kill -KILL $$', 'kubectl ended with 137'],
    ['echo not JSON', 'it names no server'],
  ] as const) {
    users(script);
    const error = await failureOf(connectExisting(context));
    assert.is(error.exitCode, 1);
    assert.is(error.why, why);
  }
});

test.run();
