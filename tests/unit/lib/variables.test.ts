import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join, relative } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { settleVariables } from '../../../lib/variables.ts';

const test = suite<{ folder: string }>('variables');

test.before((state) => {
  state.folder = mkdtempSync(join(tmpdir(), 'variables-'));
  mkdirSync(join(state.folder, 'home'));
});

test.after(({ folder }) => rmSync(folder, { recursive: true }));

/** What becomes of these variables in a project at `/project`. */
function settled(variables: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const copy = { ...variables };
  settleVariables(copy, '/project');
  return copy;
}

test('variables that make a shell run something else first, or understand its words differently, are left out', () => {
  const kept = { HOME: tmpdir(), PATH: '/bin', ENVIRONMENT: 'staging', BASH: '/bin/bash' };
  const variables = settled({
    ...kept,
    ...{ BASH_ENV: '/nowhere', ENV: '/nowhere', SHELLOPTS: 'noexec', BASHOPTS: 'extglob', CDPATH: '/' },
    ...{ 'BASH_FUNC_helm%%': '() {  exit 3; }', POSIXLY_CORRECT: '', GREP_OPTIONS: '--invert-match' },
  });
  assert.equal(variables, kept);
});

test('a relative folder for temporary files becomes absolute, and one that is not there is left out', ({
  folder,
}) => {
  const { TMPDIR, TMP, TEMP } = settled({
    TMPDIR: relative(process.cwd(), folder),
    TMP: join(folder, 'none'),
    TEMP: '',
  });
  assert.equal([TMPDIR, TMP, TEMP], [folder, undefined, undefined]);
});

test('without HOME the home is the one of the account', () => {
  assert.is(settled({}).HOME, userInfo().homedir);
});

test('a home that is not there is replaced by a folder of the project', ({ folder }) => {
  assert.is(settled({ HOME: join(folder, 'home') }).HOME, join(folder, 'home'));
  for (const HOME of ['', 'home', join(folder, 'none')])
    assert.is(settled({ HOME }).HOME, '/project/.home', HOME);
});

test.run();
