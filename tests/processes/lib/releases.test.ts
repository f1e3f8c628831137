import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Release } from '../../../lib/helm/helmfile.ts';
import type { DeployedRelease } from '../../../lib/helm/releases.ts';
import type { Environment } from '../../../lib/settings/environment.ts';
import { type CloneContext, type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf } from '../../rig/task-context.ts';

type State = {
  clone: ScriptedClone;
  lib: typeof import('../../../lib/helm/releases.ts');
  environment: Environment;
  context: CloneContext;
  deployed: (...stored: Stored[]) => Promise<readonly DeployedRelease[]>;
};

const test = suite<State>('releases');

type Stored = {
  readonly name?: string;
  readonly namespace?: string;
  readonly version?: number;
  readonly status?: string;
  readonly manifest?: string;
  readonly hooks?: readonly string[];
};

/** A revision as helm keeps it: gzipped JSON, in base64, in the base64 of a Secret. */
function secret({
  name = 'devops',
  namespace = 'core',
  version = 1,
  status = 'deployed',
  ...release
}: Stored) {
  const content = {
    manifest: release.manifest ?? '',
    hooks: (release.hooks ?? []).map((manifest) => ({ manifest })),
    info: { last_deployed: '2026-01-02T03:04:05Z' },
  };
  const packed = Buffer.from(gzipSync(JSON.stringify(content)).toString('base64')).toString('base64');
  const labels = { name, status, version: String(version), owner: 'helm' };
  return {
    metadata: { name: `sh.helm.release.v1.${name}.v${version}`, namespace, labels },
    data: { release: packed },
  };
}

test.before(async (state) => {
  state.clone = scriptedClone();
  state.clone.script('sops', `echo '{"password": "a", "app2Password": "b", "vaultPassword": "c"}'`);
  state.lib = await state.clone.lib('helm/releases.ts');
  state.environment = await state.clone.environment('embedded');
  const { shellOf } =
    await state.clone.lib<typeof import('../../../lib/settings/environment.ts')>('settings/environment.ts');
  state.deployed = async (...stored) => {
    state.clone.script('kubectl', `cat <<'END'\n${JSON.stringify({ items: stored.map(secret) })}\nEND`);
    return state.lib.deployedReleases({ $: await shellOf(state.context), environment: state.environment });
  };
});

test.before.each(async (state) => {
  state.context = await state.clone.context('embedded');
  mkdirSync(state.environment.state, { recursive: true });
  state.clone.forget();
});

test.after.each(({ clone }) => clone.reset());
test.after(({ clone }) => clone.remove());

test('an empty cluster has no releases', async ({ deployed, clone, environment }) => {
  assert.equal(await deployed(), []);
  assert.equal(clone.calls(), [
    `kubectl --kubeconfig ${environment.kubeconfig} --context ${environment.context} get secrets -A -l owner=helm,status!=superseded -o json`,
  ]);
});

test('of each release the newest revision counts, by number and not by text', async ({ deployed }) => {
  const releases = await deployed(
    { version: 9, status: 'deployed' },
    { version: 10, status: 'pending-upgrade' },
    { version: 2, status: 'failed', namespace: 'other' },
  );
  assert.equal(
    releases.map(({ namespace, revision, status }) => [namespace, revision, status]),
    [
      ['core', 10, 'pending-upgrade'],
      ['other', 2, 'failed'],
    ],
  );
  assert.equal(releases[0]?.updated, new Date('2026-01-02T03:04:05Z'));
});

test('a Secret that cannot be read is named with how to delete it; who takes that is told the other releases', async (state) => {
  const { lib, clone, environment, context } = state;
  const { shellOf } =
    await clone.lib<typeof import('../../../lib/settings/environment.ts')>('settings/environment.ts');
  const damaged = { ...secret({ name: 'vault', version: 4 }), data: { release: 'bm8=' } };
  clone.script('kubectl', `echo '${JSON.stringify({ items: [damaged, secret({})] })}'`);
  const $ = await shellOf(context);
  const error = await failureOf(lib.deployedReleases({ $, environment }));
  assert.is(
    error.what,
    'the Secret core/sh.helm.release.v1.vault.v4, in which helm keeps a release, cannot be read',
  );
  assert.match(error.advice ?? '', /`kubectl -n core delete secret sh\.helm\.release\.v1\.vault\.v4`/);
  const told: string[] = [];
  const releases = await lib.deployedReleases({ $, environment }, ({ what }) => told.push(what));
  assert.equal(told, [error.what]);
  assert.equal(
    releases.map(({ name, status, revision }) => [name, status, revision]),
    [
      ['vault', 'deployed', 4],
      ['devops', 'deployed', 1],
    ],
  );
});

const config = '# Source: devops/templates/a.yaml\nkind: ConfigMap\nmetadata:\n  name: a\n';
const role = '# Source: devops/templates/b.yaml\nkind: Role\nmetadata:\n  name: b\n';
const hook = 'kind: Job\nmetadata:\n  name: check\n';

const digest = async ({ deployed }: State, stored: Stored): Promise<string> =>
  (await deployed(stored))[0]?.digest ?? '';

test('a digest is the same for the same objects in another order, with other comments and blank lines', async (state) => {
  const first = await digest(state, { manifest: `---\n${config}---\n${role}`, hooks: [hook] });
  const second = await digest(state, {
    manifest: `---\n# moved\n${role.replaceAll('\n', '  \n')}\n\n---\n\n---\n${config}\n`,
    hooks: [`# Source: x\n${hook}`],
  });
  assert.is(first, second);
});

test('a digest differs as soon as a value, an object or a hook does', async (state) => {
  const all = { manifest: `---\n${config}---\n${role}`, hooks: [hook] };
  const digests = await Promise.all([digest(state, all)]);
  for (const other of [
    { ...all, manifest: `---\n${config}---\n${role.replace('name: b', 'name: c')}` },
    { ...all, manifest: `---\n${config}` },
    { ...all, hooks: [] },
  ]) {
    digests.push(await digest(state, other));
  }
  assert.is(new Set(digests).size, 4);
});

test('that only the replicas differ can be told from two digests', async (state) => {
  const scaled = (count: number, name = 'b') =>
    digest(state, {
      manifest: `---\nkind: Deployment\nmetadata:\n  name: ${name}\nspec:\n  replicas: ${count}\n`,
    });
  const two = await scaled(2);
  const four = await scaled(4);
  assert.is.not(two, four);
  assert.ok(state.lib.sameBesideReplicas(two, four));
  assert.not.ok(state.lib.sameBesideReplicas(two, await scaled(4, 'c')));
});

const release = (name: string): Release => ({
  name,
  namespace: 'core',
  chart: './charts/devops',
  tier: 'core',
  app: name,
  needs: [],
  timeout: 60,
});

/** A helmfile that renders a release as `files` says. */
function render(clone: ScriptedClone, name: string, files: { readonly [path: string]: string }): void {
  const source = join(clone.folder, '.state', 'source');
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(source, name, path, '..'), { recursive: true });
    writeFileSync(join(source, name, path), text);
  }
  clone.script(
    'helmfile',
    `while [ "$1" != --output-dir ]; do shift; done; mkdir -p "$2"; stat -c '%a' "$2" >> "$CALLS"; cp -r '${source}/.' "$2/"`,
  );
}

test('what an install would write has the digest of what it wrote', async (state) => {
  const { lib, clone, context, environment } = state;
  render(clone, 'devops', {
    'devops/templates/a.yaml': `---\n${config}`,
    'devops/templates/hooks/check.yaml': `---\n${hook}`,
    'devops/templates/b.yaml': `---\n${role}`,
  });
  const digests = await lib.renderedDigests({ ...context, environment }, [release('devops')], 'inputs');
  const installed = await digest(state, { manifest: `---\n${role}---\n${config}`, hooks: [hook] });
  assert.is(digests.get('devops'), installed);
});

test('what the same inputs gave before is not rendered again', async ({
  lib,
  clone,
  context,
  environment,
}) => {
  render(clone, 'devops', { 'devops/templates/a.yaml': config });
  const first = await lib.renderedDigests({ ...context, environment }, [release('devops')], 'inputs');
  clone.forget();
  assert.equal(await lib.renderedDigests({ ...context, environment }, [release('devops')], 'inputs'), first);
  assert.equal(clone.calls(), []);
  await lib.renderedDigests({ ...context, environment }, [release('devops')], 'others');
  assert.ok(clone.calls().length > 0);
});

test('rendered secrets lie in a folder for the user alone, and are gone afterwards', async ({
  lib,
  clone,
  context,
  environment,
}) => {
  render(clone, 'devops', { 'devops/templates/a.yaml': config });
  await lib.renderedDigests({ ...context, environment }, [release('devops')], 'inputs');
  assert.ok(clone.calls().includes('700'));
  assert.not.ok(readdirSync(environment.state).some((name) => name.startsWith('rendered-')));
});

test('they are gone also after a failure', async ({ lib, clone, context, environment }) => {
  clone.script('helmfile', 'exit 1');
  let failed = false;
  await lib.renderedDigests({ ...context, environment }, [release('devops')], 'inputs').catch(() => {
    failed = true;
  });
  assert.ok(failed);
  assert.not.ok(readdirSync(environment.state).some((name) => name.startsWith('rendered-')));
});

test('a release that renders nothing differs from one that has objects', async ({
  lib,
  clone,
  context,
  environment,
}) => {
  render(clone, 'other', { 'x.yaml': config });
  mkdirSync(join(clone.folder, '.state', 'source', 'devops'));
  const digests = await lib.renderedDigests(
    { ...context, environment },
    [release('devops'), release('other')],
    'inputs',
  );
  assert.is.not(digests.get('devops'), digests.get('other'));
});

test('a release without a folder was not rendered', async ({ lib, clone, context, environment }) => {
  render(clone, 'other', { 'x.yaml': config });
  const releases = [release('devops'), release('other')];
  const error = await failureOf(lib.renderedDigests({ ...context, environment }, releases, 'inputs'));
  assert.is(error.what, 'helmfile rendered nothing for devops');
});

test.run();
