import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Environment } from '../../../lib/settings/environment.ts';
import { type ScriptedClone, scriptedClone } from '../../rig/scripted-clone.ts';
import { failureOf } from '../../rig/task-context.ts';

type State = {
  clone: ScriptedClone;
  lib: typeof import('../../../lib/operations/scratch.ts');
  environment: Environment;
};

const test = suite<State>('scratch');

test.before(async (state) => {
  state.clone = scriptedClone();
  state.lib = await state.clone.lib('operations/scratch.ts');
  state.environment = await state.clone.environment('embedded');
});

test.after.each(({ clone }) => clone.reset());
test.after(({ clone }) => clone.remove());

test('an environment with a cluster is refused as a scratch one', async ({ clone, lib, environment }) => {
  const context = await clone.context('embedded');
  await lib.requireUnused(context);
  const { ensureState } =
    await clone.lib<typeof import('../../../lib/cluster/embedded/state.ts')>('cluster/embedded/state.ts');
  await ensureState(environment, 'v1.31.0');
  const error = await failureOf(lib.requireUnused(context));
  assert.is(error.exitCode, 2);
  assert.is(error.what, 'environment `development` exists already: its cluster is creating');
});

test('it is removed whole, after its logs and status were kept', async ({ clone, lib, environment }) => {
  mkdirSync(join(environment.state, 'logs'), { recursive: true });
  writeFileSync(join(environment.state, 'logs', 'vault.log'), 'sealed\n');
  const kept = join(clone.folder, 'kept');
  await lib.removeScratch(await clone.context('embedded'), kept);
  assert.is(readFileSync(join(kept, 'logs', 'vault.log'), 'utf8'), 'sealed\n');
  assert.match(readFileSync(join(kept, 'status.txt'), 'utf8'), /development/);
  assert.not.ok(existsSync(environment.state));
});

test('it is removed also when the logs cannot be kept, and that is an error', async ({
  clone,
  lib,
  environment,
}) => {
  mkdirSync(environment.state, { recursive: true });
  const file = join(clone.folder, 'package.json');
  const error = await lib
    .removeScratch(await clone.context('embedded'), file)
    .catch((thrown: NodeJS.ErrnoException) => thrown);
  assert.is((error as NodeJS.ErrnoException).code, 'EEXIST');
  assert.not.ok(existsSync(environment.state));
});

test.run();
