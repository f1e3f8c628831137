import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ProviderName, providerNames } from '../../../lib/cluster/providers.ts';
import { root } from '../../../lib/ground/project.ts';
import { bundled } from '../../../lib/runner/tests/rig/bundled.ts';
import { copyProject, type ProjectCopy } from '../../rig/project-copy.ts';
import { dryRuns, normalise, publicTasks, store, stored, type Transcript } from './transcripts.ts';

// The dry run of each public task on each provider. After an intended change, run this file with UPDATE_GOLDEN=1 and
// read the diff.

type State = {
  clone: ProjectCopy;
  before: string[];
  transcripts: Map<ProviderName, Map<string, Transcript>>;
};

const test = suite<State>('transcripts');

test.before(async (state) => {
  state.clone = copyProject();
  state.before = state.clone.files();
  const { folder } = state.clone;
  const all = providerNames.map(async (provider) => {
    const context = provider === 'existing' ? ['--context', 'some-context'] : [];
    return [provider, await dryRuns(folder, ['--provider', provider, ...context])] as const;
  });
  state.transcripts = new Map(await Promise.all(all));
});

test.after((state) => state.clone.remove());

for (const provider of providerNames) {
  const all = (state: State): [name: string, transcript: Transcript][] => [
    ...(state.transcripts.get(provider) ?? []),
  ];

  test(`${provider}: every public task prints its plain commands, without any tool`, (state) => {
    assert.equal(
      all(state).map(([name]) => name),
      publicTasks,
    );
    for (const [name, { exitCode, text }] of all(state)) {
      assert.is(exitCode, 0, name);
      assert.not.equal(text, '', name);
    }
  });

  test(`${provider}: the transcripts match tests/golden/${provider}`, (state) => {
    const now = new Map(
      all(state).map(([name, { text }]) => [name, normalise(text, state.clone.folder)] as const),
    );
    if (process.env.UPDATE_GOLDEN === '1') store(provider, now);
    const known = stored(provider);
    assert.equal([...known.keys()].sort(), [...now.keys()].sort());
    for (const [name, text] of now) assert.fixture(text, known.get(name) ?? '', `${provider} ${name}`);
  });

  test(`${provider}: a shell accepts every line, and no placeholder is left`, (state) => {
    for (const [name, { text }] of all(state)) {
      const shell = spawnSync('sh', ['-n'], { input: text, encoding: 'utf8' });
      assert.is(shell.status, 0, `${name}: ${shell.stderr}`);
      assert.not.match(text, /<[a-z]|undefined|\[object/, name);
    }
  });

  test(`${provider}: they contain no path of this machine and no secret`, (state) => {
    for (const [name, { text }] of all(state)) {
      assert.not.ok(text.includes(state.clone.folder), name);
      assert.not.ok(text.includes(root), name);
      assert.not.match(text, /BEGIN PGP|hvs\.|ENC\[/, name);
    }
  });

  test(`${provider}: every call of kubectl, helm and helmfile names the cluster`, (state) => {
    for (const [name, { text }] of all(state)) {
      for (const line of text.split('\n').filter((line) => !line.startsWith('#'))) {
        if (/\b(version|--version|plugin install|config view)\b/.test(line)) continue;
        if (/(^|\| |\$\()kubectl /.test(line)) assert.match(line, /--kubeconfig \S+ --context \S+/, name);
        if (/(^|\| )helm(file)? /.test(line)) assert.match(line, /--kubeconfig \S+ --kube-context \S+/, name);
      }
    }
  });
}

test('production: every public task prints its plain commands, without secrets, and with its own files', async (state) => {
  const transcripts = await dryRuns(state.clone.folder, ['--env', 'production', '--context', 'some-context']);
  for (const [name, { exitCode, text }] of transcripts) {
    assert.is(exitCode, 0, name);
    assert.not.equal(text, '', name);
    // which read the files of every environment
    if (!['check-secrets', 'rotate-keys'].includes(name))
      assert.not.match(text, /environments\/development|\.state\/development/, name);
    assert.is(spawnSync('sh', ['-n'], { input: text, encoding: 'utf8' }).status, 0, name);
  }
  const { text = '' } = transcripts.get('install-all') ?? {};
  assert.match(
    text,
    '--state-values-file environments/existing.yaml --state-values-file environments/production/settings.yaml',
  );
});

test('the bundle prints the same as the sources', async ({ clone: { folder }, transcripts }) => {
  const all = await bundled(join(folder, 'tasks', 'all.ts'));
  assert.equal(await dryRuns(folder, ['--provider', 'embedded'], all), transcripts.get('embedded'));
});

test('a dry run writes nothing', (state) => {
  assert.equal(state.clone.files(), state.before);
});

test('tasks.ts shows the embedded cluster on a fresh clone without Docker', async (state) => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', 'tasks.ts', '--dry-run', 'create-k8s'],
    { cwd: state.clone.folder, env: { PATH: '', HOME: '/nonexistent' } },
  );
  assert.is(normalise(stdout, state.clone.folder), stored('embedded').get('create-k8s'));
  assert.equal(state.clone.files(), state.before);
});

test('tasks that show, stop and destroy an environment need no folder under environments/', async ({
  clone,
}) => {
  mkdirSync(join(clone.folder, '.state/staging'), { recursive: true });
  const transcripts = await dryRuns(clone.folder, ['--env', 'staging', '--provider', 'embedded']);
  const failed = [...transcripts].filter(([, { exitCode }]) => exitCode !== 0);
  const without = ['status', 'stop-k8s', 'destroy-k8s', 'destroy-environment'];
  assert.equal(
    failed.map(([name, { exitCode }]) => `${name} ${exitCode}`),
    publicTasks.filter((name) => !without.includes(name)).map((name) => `${name} 2`),
  );
});

test.run();
