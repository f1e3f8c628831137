import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Release } from '../../../lib/helm/helmfile.ts';
import { render } from '../../../lib/helm/render.ts';
import { scriptedFolder } from '../../rig/scripted-folder.ts';
import { failureOf } from '../../rig/task-context.ts';

const project = scriptedFolder('environments');

const [vault, other] = [{ name: 'vault' }, { name: 'other' }] as Release[] as [Release, Release];

// That nothing is missing in it: tests/integration/environment/rendered.ts.
test('rendered files are for the user alone, and are removed; a release without a folder was not rendered', async () => {
  const context = await project.context('embedded');
  const { state } = context.environment;
  mkdirSync(join(state, 'source', 'vault'), { recursive: true });
  writeFileSync(join(state, 'source', 'vault', 'a.yaml'), 'kind: A');
  const output = `while [ "$1" != --output-dir ]; do shift; done; mkdir -p "$2"`;
  project.script('helmfile', `${output}; stat -c '%a' "$2" >> "$CALLS"; cp -r '${state}/source/.' "$2/"`);
  assert.equal((await render(context, [vault])).get('vault'), ['kind: A']);
  assert.ok(project.calls().includes('700'));
  const { what } = await failureOf(render(context, [vault, other]));
  assert.is(what, 'helmfile rendered nothing for other');
  project.script('helmfile', 'exit 1');
  await failureOf(render(context, [vault]));
  const left = readdirSync(state, { recursive: true, encoding: 'utf8' });
  assert.not.ok(left.some((name) => name.includes('rendered-')));
});

test.run();
