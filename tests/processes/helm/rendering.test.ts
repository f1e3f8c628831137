import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Release } from '../../../lib/helm/helmfile.ts';
import { digestOf } from '../../../lib/helm/releases.ts';
import { completeDigests, recallDigests } from '../../../lib/helm/rendered-digests.ts';
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf } from '../../rig/task-context.ts';

const test = suite<{ context: CloneContext }>('rendering');
const project = scriptedFolder('environments');

test.before.each(async (state) => {
  state.context = await project.context('embedded');
  mkdirSync(state.context.environment.state, { recursive: true });
  project.script('sops', `echo '{"password": "a", "app2Password": "b", "vaultPassword": "c"}'`);
  project.forget();
});
test.after.each(project.reset);
test.after(project.remove);

const config = 'kind: ConfigMap\nmetadata:\n  name: a\n';
const hook = 'kind: Job\nmetadata:\n  name: check\n';

const release = (name: string): Release => ({
  name,
  namespace: 'core',
  chart: './charts/devops',
  tier: 'core',
  app: name,
  needs: [],
  timeout: 60,
});
const devops = [release('devops')];

/** A helmfile that renders these files of a release. */
function render(name: string, files: { readonly [path: string]: string }): void {
  const source = join(project.folder, '.state', 'source');
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(source, name, path, '..'), { recursive: true });
    writeFileSync(join(source, name, path), text);
  }
  project.script(
    'helmfile',
    `while [ "$1" != --output-dir ]; do shift; done; mkdir -p "$2"; stat -c '%a' "$2" >> "$CALLS"; cp -r '${source}/.' "$2/"`,
  );
}

/** The digests of these releases; from an earlier run if nothing has changed since. */
async function digestsOf(context: CloneContext, releases = devops): Promise<ReadonlyMap<string, string>> {
  const digests = await recallDigests(context);
  await completeDigests(context, releases, digests);
  return digests.known;
}

/** Any input will do. */
const changeInputs = (): void => writeFileSync(join(project.folder, 'helmfile.yaml'), 'releases: []\n');

const leftovers = ({ environment }: CloneContext): string[] =>
  readdirSync(environment.state).filter((name) => name.startsWith('rendered-'));

test('the digest covers all rendered files, below folders too', async ({ context }) => {
  render('devops', {
    'devops/templates/a.yaml': `---\n${config}`,
    'devops/templates/hooks/check.yaml': `---\n${hook}`,
  });
  const digests = await digestsOf(context);
  assert.is(digests.get('devops'), digestOf([hook, config]));
});

test('the same inputs are rendered once', async ({ context }) => {
  render('devops', { 'devops/templates/a.yaml': config });
  const first = await digestsOf(context);
  project.forget();
  assert.equal(await digestsOf(context), first);
  assert.equal(project.calls(), []);
  changeInputs();
  await digestsOf(context);
  assert.ok(project.calls().length > 0);
});

test('rendered secrets are in a folder for the user alone, and are removed, after a failure as well', async ({
  context,
}) => {
  render('devops', { 'devops/templates/a.yaml': config });
  await digestsOf(context);
  assert.ok(project.calls().includes('700'));
  assert.equal(leftovers(context), []);
  project.script('helmfile', 'exit 1');
  changeInputs();
  await failureOf(digestsOf(context));
  assert.equal(leftovers(context), []);
});

test('a release without a folder was not rendered', async ({ context }) => {
  render('other', { 'x.yaml': config });
  const error = await failureOf(digestsOf(context, [...devops, release('other')]));
  assert.is(error.what, 'helmfile rendered nothing for devops');
});

test.run();
