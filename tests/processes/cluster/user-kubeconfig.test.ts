import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { connectExisting, connectionAdvice } from '../../../lib/cluster/existing/user-kubeconfig.ts';
import { context, printing, scriptedSuite } from '../../rig/scripted-folder.ts';
import { fails } from '../../rig/task-context.ts';

const { test, project } = scriptedSuite('the user’s kubeconfig', 'existing', 'environments');

const copy = () => JSON.parse(readFileSync(context.environment.kubeconfig, 'utf8'));

test.before.each(() => {
  process.env.KUBECONFIG = '/some/team/config';
});

type User = { readonly [field: string]: unknown };

const withUser = (user: User, server = 'https://one') => ({
  clusters: [{ cluster: { server } }],
  users: [{ user }],
});
const first = withUser({ token: 'first' });

/** Connects while kubectl shows this of the user's kubeconfig, or does this. */
async function connect(users: object | string, of = context): Promise<void> {
  project.script('kubectl', typeof users === 'string' ? users : printing(users));
  await connectExisting(of);
}
const gone = 'echo "error: cannot locate context some-context" >&2; exit 1';
const unreadable = 'echo "error: yaml: line 1" >&2; exit 1';

test('only the context is copied, readable by the user only; a new token, too, which is logged once', async () => {
  await connect(first);
  assert.equal(copy(), first);
  assert.is(statSync(context.environment.kubeconfig).mode & 0o777, 0o600);
  assert.equal(context.logged, []);
  const second = withUser({ token: 'second' });
  await connect(second);
  await connect(second);
  assert.equal(copy(), second);
  assert.equal(context.logged, ['updated the copy of context `some-context` from your kubeconfig']);
});

test('an environment keeps its cluster when the context points to another one', async () => {
  await connect(first);
  await connect(withUser({ token: 'second' }, 'https://two'));
  assert.equal(copy(), first);
  const moved = 'context `some-context` of your kubeconfig leads to another server, https://two';
  assert.equal(context.logged, [`${moved}: the environment stays with https://one`]);
  const advice = `${moved}; if it is the same cluster, or nothing was installed in https://one, \`rm .state/development/kubeconfig\` and run again`;
  assert.is(await connectionAdvice(context, ''), advice);
});

test('commands in an error can be pasted, whatever the context’s name', async () => {
  const other = { ...context, environment: { ...context.environment, context: 'team a;b' } };
  await fails(connect(unreadable, other), { advice: /kubectl config view --minify --context 'team a;b'/ });
  await connect(first, other);
  assert.match(await connectionAdvice(other, ''), "kubectl --context 'team a;b' get nodes");
});

test('the advice for a user’s plugin says how it gets its variables', async () => {
  const advice = async (interactiveMode: string, said: string): Promise<string> => {
    await connect(withUser({ exec: { command: 'acme', interactiveMode } }));
    return connectionAdvice(context, said);
  };
  const listed = 'the variables that `acme` needs to environments/variables.json: programs get no others';
  for (const said of [
    'getting credentials: exec: executable acme failed with exit code 1',
    'You must be logged in to the server (Unauthorized)',
  ]) {
    const text = await advice('Never', said);
    assert.match(text, /^make this work, .*: kubectl --context some-context get nodes\n/);
    assert.match(text, listed);
  }
  for (const said of ['exec: executable acme not found', 'dial tcp: connection refused'])
    assert.match(await advice('IfAvailable', said), /get nodes$/);
  const noTerminal =
    /^`acme` cannot ask you anything here: log in first, .* interactiveMode .* IfAvailable or Never/;
  assert.match(await advice('Always', 'exec plugin cannot support interactive mode'), noTerminal);
});

test('the copy stays while the user’s kubeconfig cannot be read, or has lost the context, and the advice says so', async () => {
  await connect(first);
  for (const [script, advice] of [
    [gone, /but: unknown kube context `some-context`; restore it there/],
    [unreadable, /but: your kubeconfig \(.*\) does not give/],
    ['kill -KILL $$', /but: your kubeconfig \(.*\) does not give/],
  ] as const) {
    await connect(script);
    assert.equal(copy(), first);
    assert.equal(context.logged, []);
    assert.match(await connectionAdvice(context, ''), advice);
  }
});

test('a damaged copy is replaced', async () => {
  for (const text of ['', '{"clu', 'a: [']) {
    writeFileSync(context.environment.kubeconfig, text);
    await connect(first);
    assert.equal(copy(), first, text);
  }
});

test('relative paths in the user’s kubeconfig become absolute, from the file that has them', async () => {
  const places = ['a', 'b'].map((name) => join(project.folder, name));
  for (const place of places) mkdirSync(place);
  const [plugin, tokenFile] = [join(places[0] ?? '', 'plugin'), join(places[1] ?? '', 'token')];
  writeFileSync(tokenFile, '');
  process.env.KUBECONFIG = places.map((place) => join(place, 'config')).join(':');
  for (const [user, copied] of [
    [{ tokenFile: 'token' }, { tokenFile }],
    [{ tokenFile: '/run/token' }, { tokenFile: '/run/token' }],
    [{ exec: { command: './plugin' } }, { exec: { command: plugin } }],
    [{ exec: { command: 'aws' } }, { exec: { command: 'aws' } }],
  ] as const) {
    rmSync(context.environment.kubeconfig, { force: true });
    await connect(withUser(user));
    assert.equal(copy(), withUser(copied));
  }
});

test('the user’s files are those of KUBECONFIG, without the copies of environments, else the default', async () => {
  const own = context.environment.kubeconfig;
  for (const [files, why] of [
    ['/one:/two', '/one:/two'],
    [`${own}:/two`, '/two'],
    [own, /\/\.kube\/config$/],
    ['', /\/\.kube\/config$/],
  ] as const) {
    process.env.KUBECONFIG = files;
    await fails(connect('echo "$KUBECONFIG" >&2; exit 1'), { why });
  }
});

test('an unknown context is a usage error that lists the existing ones; an unreadable kubeconfig is not', async () => {
  await fails(connect(`case "$*" in *get-contexts*) printf 'team-a\\nteam-b\\n';; *) ${gone};; esac`), {
    ...{ exitCode: 2, what: 'unknown kube context `some-context`' },
    why: 'your kubeconfig (/some/team/config) has: team-a, team-b',
  });
  for (const [script, why] of [
    [unreadable, 'error: yaml: line 1'],
    ['kill -KILL $$', 'kubectl ended with 137'],
    ['echo not JSON', 'it names no server'],
  ] as const)
    await fails(connect(script), { exitCode: 1, why });
});

test.run();
