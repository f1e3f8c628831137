import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type ProviderName, providerNames } from '../../../lib/cluster/providers.ts';
import { root } from '../../../lib/ground/project.ts';
import { bundled } from '../../../lib/runner/tests/rig/ended.ts';
import { onlyExamples } from '../../rig/applications.ts';
import { bash } from '../../rig/programs.ts';
import { copyProject, filesOf } from '../../rig/project-copy.ts';
import { scriptedFolder } from '../../rig/scripted-folder.ts';
import { dryRuns, normalise, publicTasks, store, stored, type Transcript } from './transcripts.ts';

// The dry run of each public task on each provider. After an intended change, run this file with UPDATE_GOLDEN=1 and
// read the diff.

const clone = copyProject();
const { folder } = clone;
await onlyExamples(folder);
// Of an environment that lost its folder.
mkdirSync(join(folder, '.state/staging'), { recursive: true });
const before = filesOf(clone);

const context = ['--context', 'some-context'];
const words = {
  minikube: ['--provider', 'minikube'],
  embedded: ['--provider', 'embedded'],
  existing: ['--provider', 'existing', ...context],
  production: ['--env', 'production', ...context],
  staging: ['--env', 'staging', '--provider', 'embedded'],
};

let transcripts: readonly ReadonlyMap<string, Transcript>[] = [];
const of = (name: keyof typeof words) =>
  transcripts[Object.keys(words).indexOf(name)] ?? new Map<string, never>();

test.before(async () => {
  transcripts = await dryRuns(folder, Object.values(words));
});

for (const provider of [...providerNames, 'production'] as const) {
  test(`${provider}: every public task prints, without any tool, commands for a shell that name the cluster, and no secret`, () => {
    assert.equal([...of(provider).keys()], publicTasks);
    for (const [name, { exitCode, text }] of of(provider)) {
      assert.is(exitCode, 0, name);
      assert.not.equal(text, '', name);
      const shell = spawnSync('sh', ['-n'], { input: text, encoding: 'utf8' });
      assert.is(shell.status, 0, `${name}: ${shell.stderr}`);
      // Files may have comments with placeholders.
      const commands = text.replaceAll(/^git apply <<'END'.*\n[\s\S]*?^END$/gm, '');
      assert.not.match(commands, /<[a-z]|undefined|\[object/, name);
      for (const path of [folder, root]) assert.not.ok(text.includes(path), name);
      assert.not.match(text, /BEGIN PGP|hvs\.|ENC\[/, name);
      // Programs such as set-up.sh change their folder.
      assert.not.match(text, /\b[A-Z]+=\.state\//, name);
      const isClient = /(kubectl|helm|helmfile|k9s) --kubeconfig|export KUBECONFIG=/.test(commands);
      assert.is(commands.lastIndexOf('KUBECACHEDIR="$PWD/'), isClient ? 'export '.length : -1, name);
      for (const line of text.split('\n').filter((line) => !line.startsWith('#'))) {
        if (/\b(version|--version|plugin install|config view)\b/.test(line)) continue;
        if (/(^|\| |\$\()kubectl /.test(line)) assert.match(line, /--kubeconfig \S+ --context \S+/, name);
        if (/(^|\| )helm(file)? /.test(line)) assert.match(line, /--kubeconfig \S+ --kube-context \S+/, name);
      }
    }
  });
}

for (const provider of providerNames)
  test(`${provider}: the transcripts match tests/golden/${provider}`, () => {
    const now = new Map([...of(provider)].map(([name, { text }]) => [name, normalise(text, folder)]));
    if (process.env.UPDATE_GOLDEN === '1') store(provider, now);
    const known = stored(provider);
    assert.equal([...known.keys()].sort(), [...now.keys()].sort());
    for (const [name, text] of now) assert.fixture(text, known.get(name) ?? '', `${provider} ${name}`);
  });

test('production: the files are its own', () => {
  const ofAll = ['check-secrets', 'rotate-keys', 'new-app', 'remove-app', 'new-environment'];
  for (const [name, { text }] of of('production'))
    if (!ofAll.includes(name)) assert.not.match(text, /environments\/development|\.state\/development/, name);
  assert.match(
    of('production').get('install-all')?.text ?? '',
    '--state-values-file environments/existing.yaml --state-values-file environments/production/settings.yaml',
  );
});

test('tasks that show, stop and destroy an environment need no folder under environments/', () => {
  const without = ['status', 'stop-k8s', 'destroy-k8s', 'destroy-environment'];
  for (const [name, { exitCode }] of of('staging')) assert.is(exitCode, without.includes(name) ? 0 : 2, name);
});

test('the bundle prints the same as the sources', async () => {
  const all = await bundled(join(folder, 'tasks', 'all.ts'));
  assert.equal((await dryRuns(folder, [words.embedded], all))[0], of('embedded'));
});

test('a dry run writes nothing', () => {
  assert.equal(filesOf(clone), before);
});

/* Transcripts pasted into a shell, which goes on after a failed command. */

const scripted = scriptedFolder('sops');
for (const program of ['createdb', 'dropdb', 'gpg', 'openssl', 'pg_restore', 'psql', 'sops', 'vault'])
  scripted.script(program, 'exit 2');
scripted.script('kubectl', 'exit 0');

/** Each may be the only copy. */
const kept = ['.state/development/vault/keys.json', 'sops/development-operational.asc'];

for (const [provider, task] of [
  ['embedded', 'restore-database'],
  ['embedded', 'restore-vault'],
  ['embedded', 'rotate-keys'],
  ['embedded', 'init-vault'],
  ['existing', 'init-vault'],
] satisfies [ProviderName, string][])
  test(`${provider}: what the pasted commands of ${task} replace is there until the replacement is`, async () => {
    scripted.forget();
    for (const file of kept) {
      mkdirSync(dirname(join(scripted.folder, file)), { recursive: true });
      writeFileSync(join(scripted.folder, file), '{}\n');
    }
    await bash(stored(provider).get(task) ?? '', { folder: scripted.folder, env: process.env });
    for (const file of kept) assert.is(readFileSync(join(scripted.folder, file), 'utf8'), '{}\n', file);
    assert.equal(
      scripted.calls().filter((call) => /^dropdb|--delete-secret/.test(call)),
      [],
    );
  });

test.run();
