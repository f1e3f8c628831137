import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Environment } from '../../../lib/environment.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf, type RecordedContext } from '../../rig/task-context.ts';

type State = {
  clone: ScriptedClone;
  lib: typeof import('../../../lib/cluster/user-kubeconfig.ts');
  environment: Environment;
  context: RecordedContext;
  /** What kubectl says of the user's kubeconfig from now on. */
  users: (kubeconfig: object | string) => void;
  copy: () => { users?: { user: object }[]; clusters: { cluster: { server: string } }[] };
};

const test = suite<State>('the user’s kubeconfig');
const { KUBECONFIG } = process.env;

test.before(async (state) => {
  state.clone = scriptedClone();
  state.lib = await state.clone.lib('cluster/user-kubeconfig.ts');
  state.environment = await state.clone.environment('existing');
  const view = join(state.clone.folder, '..', 'view');
  state.users = (kubeconfig) => {
    if (typeof kubeconfig === 'string') return state.clone.script('kubectl', kubeconfig);
    writeFileSync(view, JSON.stringify(kubeconfig));
    return state.clone.script('kubectl', `cat '${view}'`);
  };
  state.copy = () => JSON.parse(readFileSync(state.environment.kubeconfig, 'utf8'));
});

test.before.each((state) => {
  state.context = state.clone.context('existing');
  process.env.KUBECONFIG = '/some/team/config';
});

test.after.each(({ clone }) => clone.reset());
test.after(({ clone }) => {
  if (KUBECONFIG === undefined) delete process.env.KUBECONFIG;
  else process.env.KUBECONFIG = KUBECONFIG;
  clone.remove();
});

const withUser = (user: object, server = 'https://one') => ({
  clusters: [{ cluster: { server } }],
  users: [{ user }],
});
const gone = 'echo "error: cannot locate context some-context" >&2; exit 1';

test('the context alone becomes the environment’s kubeconfig, for the user only', async (state) => {
  state.users(withUser({ token: 'first' }));
  await state.lib.connectExisting(state.environment, state.context);
  assert.equal(state.copy(), withUser({ token: 'first' }));
  assert.is(statSync(state.environment.kubeconfig).mode & 0o777, 0o600);
  assert.equal(state.context.logged, []);
});

test('a new token is taken over, and said so once', async (state) => {
  const { connectExisting } = state.lib;
  state.users(withUser({ token: 'first' }));
  await connectExisting(state.environment, state.context);
  state.users(withUser({ token: 'second' }));
  await connectExisting(state.environment, state.context);
  await connectExisting(state.environment, state.context);
  assert.equal(state.copy(), withUser({ token: 'second' }));
  assert.equal(state.context.logged, [
    'context `some-context` changed in your kubeconfig: its credentials are taken over',
  ]);
});

test('an environment stays in its cluster when the context leads to another', async (state) => {
  const { connectExisting, connectionAdvice } = state.lib;
  state.users(withUser({ token: 'first' }));
  await connectExisting(state.environment, state.context);
  state.users(withUser({ token: 'second' }, 'https://two'));
  await connectExisting(state.environment, state.context);
  assert.equal(state.copy(), withUser({ token: 'first' }));
  const moved = 'context `some-context` of your kubeconfig leads to another server, https://two';
  assert.equal(state.context.logged, [`${moved}: the environment stays with https://one`]);
  assert.is(
    await connectionAdvice(state.environment, state.context),
    `${moved}; if it is the same cluster, \`rm .state/development/kubeconfig\` and run again`,
  );
});

for (const [title, script, advice] of [
  ['has lost the context', gone, /but: unknown kube context `some-context`; bring it back/],
  ['cannot be read', 'echo "error: yaml: line 1" >&2; exit 1', /but: your kubeconfig \(.*\) does not give/],
  ['is read by a kubectl that is killed', 'kill -KILL $$', /but: your kubeconfig \(.*\) does not give/],
] as const) {
  test(`the copy stays while the user’s kubeconfig ${title}, and the advice says so`, async (state) => {
    const { connectExisting, connectionAdvice } = state.lib;
    state.users(withUser({ token: 'first' }));
    await connectExisting(state.environment, state.context);
    state.users(script);
    await connectExisting(state.environment, state.context);
    assert.equal(state.copy(), withUser({ token: 'first' }));
    assert.equal(state.context.logged, []);
    assert.match(await connectionAdvice(state.environment, state.context), advice);
  });
}

test('a damaged copy is made again', async (state) => {
  state.users(withUser({ token: 'first' }));
  await state.lib.connectExisting(state.environment, state.context);
  for (const text of ['', '{"clu', 'a: [']) {
    writeFileSync(state.environment.kubeconfig, text);
    await state.lib.connectExisting(state.environment, state.context);
    assert.equal(state.copy(), withUser({ token: 'first' }), text);
  }
});

test('files that the user’s kubeconfig names relative to itself are named by whole paths', async (state) => {
  const places = [join(state.clone.folder, '..', 'a'), join(state.clone.folder, '..', 'b')];
  for (const place of places) mkdirSync(place);
  writeFileSync(join(places[1] ?? '', 'token'), '');
  process.env.KUBECONFIG = places.map((place) => join(place, 'config')).join(':');
  const copied = async (user: object): Promise<object | undefined> => {
    rmSync(state.environment.kubeconfig, { force: true });
    state.users(withUser(user));
    await state.lib.connectExisting(state.environment, state.context);
    return state.copy().users?.[0]?.user;
  };
  assert.equal(await copied({ tokenFile: 'token' }), { tokenFile: join(places[1] ?? '', 'token') });
  assert.equal(await copied({ tokenFile: '/run/token' }), { tokenFile: '/run/token' });
  const exec = (command: string) => ({ exec: { command } });
  assert.equal(await copied(exec('./plugin')), exec(join(places[0] ?? '', 'plugin')));
  assert.equal(await copied(exec('aws')), exec('aws'));
});

test('the user’s files are those of KUBECONFIG, without the copies of environments, else the default', async (state) => {
  state.users('echo "$KUBECONFIG" >&2; exit 1');
  const files = async (KUBECONFIG: string): Promise<string | undefined> => {
    process.env.KUBECONFIG = KUBECONFIG;
    return (await failureOf(state.lib.connectExisting(state.environment, state.context))).why;
  };
  assert.is(await files('/one:/two'), '/one:/two');
  assert.is(await files(`${state.environment.kubeconfig}:/two`), '/two');
  assert.match((await files(state.environment.kubeconfig)) ?? '', /\/\.kube\/config$/);
  assert.match((await files('')) ?? '', /\/\.kube\/config$/);
});

test('an unknown context is a usage error that names those there are', async (state) => {
  state.users(`case "$*" in *get-contexts*) printf 'team-a\\nteam-b\\n';; *) ${gone};; esac`);
  const error = await failureOf(state.lib.connectExisting(state.environment, state.context));
  assert.is(error.exitCode, 2);
  assert.is(error.what, 'unknown kube context `some-context`');
  assert.is(error.why, 'your kubeconfig (/some/team/config) has: team-a, team-b');
});

test('a kubeconfig that cannot be read is no unknown context', async (state) => {
  for (const [script, why] of [
    ['echo "error: yaml: line 1" >&2; exit 1', 'error: yaml: line 1'],
    ['kill -KILL $$', 'kubectl ended with 137'],
    ['echo not JSON', 'it names no server'],
  ] as const) {
    state.users(script);
    const error = await failureOf(state.lib.connectExisting(state.environment, state.context));
    assert.is(error.exitCode, 1);
    assert.is(error.why, why);
  }
});

test.run();
