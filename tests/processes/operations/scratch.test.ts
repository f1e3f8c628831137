import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { ensureState } from '../../../lib/cluster/embedded/state.ts';
import { removeScratch, requireUnused } from '../../../lib/operations/scratch.ts';
import { context, scriptedSuite } from '../../rig/scripted-folder.ts';
import { fails, failureOf } from '../../rig/task-context.ts';

const { test, project } = scriptedSuite('scratch', 'embedded', 'environments', 'helmfile.yaml');

test('an environment with a cluster is refused as a scratch one', async () => {
  await requireUnused(context);
  await ensureState(context);
  const what = 'environment `development` exists already: its cluster is creating';
  await fails(requireUnused(context), { exitCode: 2, what });
});

test('it is removed whole, after its logs and status were kept; also when these cannot be kept', async () => {
  const { state } = context.environment;
  const kept = join(project.folder, 'kept');
  mkdirSync(join(state, 'logs'), { recursive: true });
  writeFileSync(join(state, 'logs', 'vault.log'), 'sealed\n');
  await removeScratch(context, kept);
  assert.is(readFileSync(join(kept, 'logs', 'vault.log'), 'utf8'), 'sealed\n');
  assert.match(readFileSync(join(kept, 'status.txt'), 'utf8'), /development/);
  assert.not.ok(existsSync(state));
  mkdirSync(state, { recursive: true });
  const error: unknown = await failureOf(removeScratch(context, join(project.folder, 'helmfile.yaml')));
  assert.is((error as NodeJS.ErrnoException).code, 'EEXIST');
  assert.not.ok(existsSync(state));
});

test.run();
