import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Release } from '../../../lib/helm/helmfile.ts';
import { render } from '../../../lib/helm/render.ts';
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf } from '../../rig/task-context.ts';

const test = suite<{ context: CloneContext }>('rendering');
const project = scriptedFolder('environments');

test.before.each(async (state) => {
  state.context = await project.context('embedded');
  mkdirSync(state.context.environment.state, { recursive: true });
});
test.after.each(project.reset);
test.after(project.remove);

const [vault, other] = [{ name: 'vault' }, { name: 'other' }] as Release[] as [Release, Release];

/** A helmfile that renders these files of the release vault. */
function rendering(files: { readonly [path: string]: string }): void {
  const source = join(project.folder, '.state', 'source');
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(source, 'vault', path, '..'), { recursive: true });
    writeFileSync(join(source, 'vault', path), text);
  }
  project.script(
    'helmfile',
    `while [ "$1" != --output-dir ]; do shift; done; mkdir -p "$2"; stat -c '%a' "$2" >> "$CALLS"; cp -r '${source}/.' "$2/"`,
  );
}

const leftovers = ({ environment }: CloneContext): string[] =>
  readdirSync(environment.state, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.includes('rendered-'),
  );

test('all files are read, below folders too; they are for the user alone, and are removed', async ({
  context,
}) => {
  rendering({ 'a.yaml': 'kind: A', 'templates/hooks/b.yaml': 'kind: B' });
  const rendered = await render(context, [vault]);
  assert.equal([...(rendered.get('vault') ?? [])].sort(), ['kind: A', 'kind: B']);
  assert.ok(project.calls().includes('700'));
  assert.equal(leftovers(context), []);
  project.script('helmfile', 'exit 1');
  await failureOf(render(context, [vault]));
  assert.equal(leftovers(context), []);
});

test('a release without a folder was not rendered', async ({ context }) => {
  rendering({ 'a.yaml': 'kind: A' });
  assert.is((await failureOf(render(context, [vault, other]))).what, 'helmfile rendered nothing for other');
});

test.run();
