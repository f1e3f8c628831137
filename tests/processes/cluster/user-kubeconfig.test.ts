import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Environment } from '../../../lib/settings/environment.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf, type RecordedContext } from '../../rig/task-context.ts';

type State = {
  clone: ScriptedClone;
  lib: typeof import('../../../lib/cluster/existing/user-kubeconfig.ts');
  environment: Environment;
  context: RecordedContext;
  /** Sets kubectl's answers about the user's kubeconfig. */
  users: (kubeconfig: object | string) => void;
  copy: () => { users?: { user: object }[]; clusters: { cluster: { server: string } }[] };
};

const test = suite<State>('the user’s kubeconfig');
const { KUBECONFIG } = process.env;

test.before(async (state) => {
  state.clone = scriptedClone();
  state.lib = await state.clone.lib('cluster/existing/user-kubeconfig.ts');
  state.environment = await state.clone.environment('existing');
  const view = join(state.clone.folder, '..', 'view');
  state.users = (kubeconfig) => {
    if (typeof kubeconfig === 'string') return state.clone.script('kubectl', kubeconfig);
    writeFileSync(view, JSON.stringify(kubeconfig));
    return state.clone.script('kubectl', `cat '${view}'`);
  };
  state.copy = () => JSON.parse(readFileSync(state.environment.kubeconfig, 'utf8'));
});

test.before.each(async (state) => {
  state.context = await state.clone.context('existing');
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

test('only the context is copied to the environment’s kubeconfig, readable by the user only', async (state) => {
  state.users(withUser({ token: 'first' }));
  await state.lib.connectExisting({ ...state.context, environment: state.environment });
  assert.equal(state.copy(), withUser({ token: 'first' }));
  assert.is(statSync(state.environment.kubeconfig).mode & 0o777, 0o600);
  assert.equal(state.context.logged, []);
});

test('a new token is copied, and logged once', async (state) => {
  const { connectExisting } = state.lib;
  state.users(withUser({ token: 'first' }));
  await connectExisting({ ...state.context, environment: state.environment });
  state.users(withUser({ token: 'second' }));
  await connectExisting({ ...state.context, environment: state.environment });
  await connectExisting({ ...state.context, environment: state.environment });
  assert.equal(state.copy(), withUser({ token: 'second' }));
  assert.equal(state.context.logged, ['context `some-context` changed in your kubeconfig: updated the copy']);
});

test('an environment keeps its cluster when the context points to another one', async (state) => {
  const { connectExisting, connectionAdvice } = state.lib;
  state.users(withUser({ token: 'first' }));
  await connectExisting({ ...state.context, environment: state.environment });
  state.users(withUser({ token: 'second' }, 'https://two'));
  await connectExisting({ ...state.context, environment: state.environment });
  assert.equal(state.copy(), withUser({ token: 'first' }));
  const moved = 'context `some-context` of your kubeconfig leads to another server, https://two';
  assert.equal(state.context.logged, [`${moved}: the environment stays with https://one`]);
  assert.is(
    await connectionAdvice({ ...state.context, environment: state.environment }, ''),
    `${moved}; if it is the same cluster, \`rm .state/development/kubeconfig\` and run again`,
  );
});

test('commands in an error can be pasted, whatever the context’s name', async (state) => {
  const { connectExisting, connectionAdvice } = state.lib;
  const environment = { ...state.environment, context: 'team a;b' };
  state.users('echo "error: yaml: line 1" >&2; exit 1');
  rmSync(environment.kubeconfig, { force: true });
  const unread = await failureOf(connectExisting({ ...state.context, environment }));
  assert.match(unread.advice ?? '', "kubectl config view --minify --context 'team a;b'");
  state.users(withUser({ token: 'first' }));
  await connectExisting({ ...state.context, environment });
  const advice = await connectionAdvice({ ...state.context, environment }, '');
  assert.match(advice, "kubectl --context 'team a;b' get nodes");
});

test('the advice for a user’s plugin names what it lacks here, without values', async (state) => {
  const { connectExisting, connectionAdvice } = state.lib;
  const { leftOut } =
    await state.clone.lib<typeof import('../../../lib/ground/variables.ts')>('ground/variables.ts');
  const failed = 'getting credentials: exec: executable acme failed with exit code 1';
  const advice = async (interactiveMode: string, said: string): Promise<string> => {
    state.users(withUser({ exec: { command: 'acme', interactiveMode } }));
    await connectExisting({ ...state.context, environment: state.environment });
    return connectionAdvice({ ...state.context, environment: state.environment }, said);
  };
  const paste = /^make this work, .*: kubectl --context some-context get nodes/;
  try {
    const listed = 'needs to environments/variables.json: programs get no others';
    assert.match(await advice('Never', failed), paste);
    assert.match(await advice('Never', failed), `add the variables that \`acme\` ${listed}`);
    leftOut.push('LS_COLORS', 'VAULT_TOKEN', 'ACME_REALM');
    process.env.OF_DOTENV = 'hunter2';
    assert.match(await advice('Never', failed), `${listed} (not VAULT_TOKEN)`);
    const named = await advice('Never', `acme: set ACME_REALM and OF_DOTENV\n${failed}`);
    assert.match(named, `${listed} (not ACME_REALM, OF_DOTENV)`);
    assert.not.match(named, 'hunter2');
    assert.match(await advice('Never', 'You must be logged in to the server (Unauthorized)'), listed);
    for (const said of ['exec: executable acme not found', 'dial tcp: connection refused'])
      assert.match(await advice('IfAvailable', said), /get nodes$/);
    const always = await advice('Always', 'exec plugin cannot support interactive mode');
    assert.match(
      always,
      /^`acme` cannot ask you anything here: log in first, .* interactiveMode .* IfAvailable or Never/,
    );
  } finally {
    leftOut.length = 0;
    delete process.env.OF_DOTENV;
  }
});

for (const [title, script, advice] of [
  ['has lost the context', gone, /but: unknown kube context `some-context`; restore it there/],
  ['cannot be read', 'echo "error: yaml: line 1" >&2; exit 1', /but: your kubeconfig \(.*\) does not give/],
  ['is read by a kubectl that is killed', 'kill -KILL $$', /but: your kubeconfig \(.*\) does not give/],
] as const) {
  test(`the copy stays while the user’s kubeconfig ${title}, and the advice says so`, async (state) => {
    const { connectExisting, connectionAdvice } = state.lib;
    state.users(withUser({ token: 'first' }));
    await connectExisting({ ...state.context, environment: state.environment });
    state.users(script);
    await connectExisting({ ...state.context, environment: state.environment });
    assert.equal(state.copy(), withUser({ token: 'first' }));
    assert.equal(state.context.logged, []);
    assert.match(await connectionAdvice({ ...state.context, environment: state.environment }, ''), advice);
  });
}

test('a damaged copy is replaced', async (state) => {
  state.users(withUser({ token: 'first' }));
  await state.lib.connectExisting({ ...state.context, environment: state.environment });
  for (const text of ['', '{"clu', 'a: [']) {
    writeFileSync(state.environment.kubeconfig, text);
    await state.lib.connectExisting({ ...state.context, environment: state.environment });
    assert.equal(state.copy(), withUser({ token: 'first' }), text);
  }
});

test('relative paths in the user’s kubeconfig become absolute', async (state) => {
  const places = [join(state.clone.folder, '..', 'a'), join(state.clone.folder, '..', 'b')];
  for (const place of places) mkdirSync(place);
  writeFileSync(join(places[1] ?? '', 'token'), '');
  process.env.KUBECONFIG = places.map((place) => join(place, 'config')).join(':');
  const copied = async (user: object): Promise<object | undefined> => {
    rmSync(state.environment.kubeconfig, { force: true });
    state.users(withUser(user));
    await state.lib.connectExisting({ ...state.context, environment: state.environment });
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
    return (await failureOf(state.lib.connectExisting({ ...state.context, environment: state.environment })))
      .why;
  };
  assert.is(await files('/one:/two'), '/one:/two');
  assert.is(await files(`${state.environment.kubeconfig}:/two`), '/two');
  assert.match((await files(state.environment.kubeconfig)) ?? '', /\/\.kube\/config$/);
  assert.match((await files('')) ?? '', /\/\.kube\/config$/);
});

test('an unknown context is a usage error that lists the existing ones', async (state) => {
  state.users(`case "$*" in *get-contexts*) printf 'team-a\\nteam-b\\n';; *) ${gone};; esac`);
  const error = await failureOf(
    state.lib.connectExisting({ ...state.context, environment: state.environment }),
  );
  assert.is(error.exitCode, 2);
  assert.is(error.what, 'unknown kube context `some-context`');
  assert.is(error.why, 'your kubeconfig (/some/team/config) has: team-a, team-b');
});

test('an unreadable kubeconfig is not reported as an unknown context', async (state) => {
  for (const [script, why] of [
    ['echo "error: yaml: line 1" >&2; exit 1', 'error: yaml: line 1'],
    ['kill -KILL $$', 'kubectl ended with 137'],
    ['echo not JSON', 'it names no server'],
  ] as const) {
    state.users(script);
    const error = await failureOf(
      state.lib.connectExisting({ ...state.context, environment: state.environment }),
    );
    assert.is(error.exitCode, 1);
    assert.is(error.why, why);
  }
});

test.run();
