import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../lib/ground/project.ts';
import { toolOf } from '../rig/programs.ts';

test('actionlint finds no problem in the GitHub workflows', async () => {
  const { path } = await toolOf('actionlint');
  const folder = join(root, '.github', 'workflows');
  // Optional tools of actionlint; the scripts are too short to need them.
  const words = ['-shellcheck=', '-pyflakes=', ...readdirSync(folder).map((file) => join(folder, file))];
  const { code = 0, stdout, stderr } = await promisify(execFile)(path, words).catch((error) => error);
  assert.equal([code, stdout, stderr], [0, '', '']);
});

test.run();
