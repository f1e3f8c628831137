import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { devNull, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { passedOn } from '../../../lib/ground/variables.ts';

const run = promisify(execFile);

test('a clone has no Windows line ends with core.autocrlf, and its launcher runs in a folder of any name', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'clone-'));
  const [repository, clone] = [join(folder, 'repository'), join(folder, `it's a *clone* (#1, $HOME, ü)`)];
  const env = { ...passedOn(process.env), GIT_CONFIG_GLOBAL: devNull, GIT_CONFIG_NOSYSTEM: '1' };
  const git = async (...words: readonly string[]): Promise<string> =>
    (await run('git', [...words], { env, maxBuffer: 16 << 20 })).stdout;
  try {
    await git('init', '--quiet', '--bare', repository);
    const here = ['--git-dir', repository, '--work-tree', root, '-c', 'core.bare=false'];
    await git(...here, 'add', '--all');
    const author = ['-c', 'user.name=test', '-c', 'user.email=test@example.com'];
    await git(...here, ...author, 'commit', '--quiet', '--no-verify', '--message', 'all');
    await git('clone', '--quiet', '--config', 'core.autocrlf=true', repository, clone);
    const lines = (await git('-C', clone, 'ls-files', '--eol')).split('\n').slice(0, -1);
    assert.ok(lines.length > 500, `${lines.length} files`);
    assert.equal(
      lines.filter((line) => /crlf|mixed/.test(line.split('\t')[0] ?? '')),
      [],
    );
    await symlink(join(root, 'node_modules'), join(clone, 'node_modules'));
    const { stdout } = await run(join(clone, 'run'), ['list']);
    assert.match(stdout, 'create-environment');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('usage lines and advice name the launcher as it was called', async () => {
  for (const [folder, program, words, shown] of [
    ['.', './run', [], './run'],
    ['charts/backend', '../../run', [], '../../run'],
    ['.', process.execPath, ['--import', 'tsx', 'tasks.ts'], 'npx tsx tasks.ts'],
    ['docs', process.execPath, ['--import', 'tsx', '../tasks.ts'], 'npx tsx ../tasks.ts'],
  ] as const) {
    const cwd = join(root, folder);
    const { stdout } = await run(program, [...words, 'install-app', '--help'], { cwd });
    assert.ok(stdout.startsWith(`usage: ${shown} install-app <app>`), stdout);
  }
});

test.run();
