import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../lib/ground/project.ts';
import { callIn, toolOf } from '../rig/programs.ts';

test('actionlint finds no problem in the GitHub workflows', async () => {
  const { path } = await toolOf('actionlint');
  const folder = join(root, '.github', 'workflows');
  // Optional tools of actionlint; the scripts are too short to need them.
  const words = ['-shellcheck=', '-pyflakes=', ...readdirSync(folder).map((file) => join(folder, file))];
  const { exitCode, stdout, stderr } = await callIn({ folder: root, env: process.env }, path, words);
  assert.equal([exitCode, stdout, stderr], [0, '', '']);
});

test.run();
