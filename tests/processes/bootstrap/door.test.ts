import { execFile, execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  promises,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { npmEnvironment } from '../../../lib/ground/variables.ts';
import { isGroupAlive } from '../../../lib/runner/process-identity.ts';
import { inClone, installs, lockfile, says } from './door-fixture.ts';

test('on a fresh clone the packages are installed, and the run continues with the installed tsx; later only for another lockfile', () =>
  inClone(async ({ folder, npm, start, calls }) => {
    npm(installs);
    const { code, stdout, stderr } = await start(['7', '--env', 'a b']).end;
    assert.is(code, 7, stderr);
    const { argv, cwd, execArgv, mark } = JSON.parse(stdout);
    assert.equal(argv, ['7', '--env', 'a b']);
    assert.is(cwd, folder);
    assert.equal(execArgv, ['--max-semi-space-size=2', '--import', 'tsx']);
    assert.is(mark, null);
    assert.equal(calls(), ['ci --include=dev --no-audit --no-fund --loglevel=error']);
    assert.match(stderr, /^installing npm packages…\nnpm speaks on stdout\n/);
    assert.not.ok(existsSync(join(folder, '.state')), 'no environment files are created');
    // The same text with another time.
    writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lockfile('4.23.15')));
    const second = await start(['3']).end;
    assert.equal([second.code, second.stderr, calls().length], [3, '', 1]);
    writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lockfile('4.24.0')));
    // As from an archive.
    utimesSync(join(folder, 'package-lock.json'), 1, 1);
    assert.is((await start(['0']).end).code, 0);
    assert.is(calls().length, 2);
  }));

test('two runs on a fresh clone install once', () =>
  inClone(async ({ folder, npm, start, calls }) => {
    const gate = join(folder, 'gate');
    execFileSync('mkfifo', [gate]);
    npm(`echo installing >&2; read -r line < gate; ${installs}`);
    const first = start(['0']);
    await says(first, 'installing\n');
    const second = start(['5']);
    await says(second, `waiting for process ${first.pid}, which is installing the npm packages…`);
    await promises.writeFile(gate, 'on\n');
    assert.is((await first.end).code, 0);
    const { code, stderr } = await second.end;
    assert.is(code, 5, stderr);
    assert.is(calls().length, 1);
  }));

test('an npm that fails or installs nothing is an error with advice, and project settings override the user’s', () =>
  inClone(async ({ folder, npm, start }) => {
    npm('echo "npm error code ENOTFOUND" >&2; exit 4');
    const failed = await start(['0']).end;
    assert.equal([failed.code, failed.stdout], [1, '']);
    assert.match(
      failed.stderr,
      /npm error code ENOTFOUND\nerror: `npm ci` failed with exit code 4.*\n {2}why: .*\n {2}do: .*\n$/,
    );
    npm('exit 0');
    const { code, stderr } = await start(['0']).end;
    assert.is(code, 1);
    assert.match(stderr, /^error: `npm ci` ended well, but .* not there\n {2}why: .*\n {2}do: .*\n$/m);
    copyFileSync(new URL('../../../.npmrc', import.meta.url), join(folder, '.npmrc'));
    const userconfig = join(folder, 'user.npmrc');
    writeFileSync(userconfig, 'global=true\nlocation=global\ndry-run=true\npackage-lock-only=true\n');
    const words = ['config', 'list', '--json', '--userconfig', userconfig];
    const { stdout } = await promisify(execFile)('npm', words, {
      cwd: folder,
      env: npmEnvironment(process.env),
    });
    const config = JSON.parse(stdout);
    assert.equal(
      ['global', 'location', 'dry-run', 'package-lock-only'].map((name) => config[name]),
      [false, 'project', false, false],
    );
  }));

test('without npm the error says so, with exit code 127', () =>
  inClone(async ({ bin, start }) => {
    symlinkSync('/bin/sh', join(bin, 'sh'));
    const { code, stderr } = await start(['0'], { path: bin }).end;
    assert.is(code, 127);
    assert.match(stderr, /^error: npm cannot be started.*\n {2}why: .*\n {2}do: put npm on PATH/m);
  }));

test('a path that programs would split is refused, and only the user can write what a run creates', () =>
  inClone(async ({ folder, npm, start }) => {
    npm(installs);
    // It would let all but the owner write.
    const imports = ['data:text/javascript,process.umask(0o700)'];
    assert.is((await start(['0'], { imports }).end).code, 0);
    assert.is(statSync(join(folder, 'node_modules')).mode & 0o777, 0o755);
    for (const odd of ['a:b', 'a\nb']) {
      renameSync(folder, `${folder}${odd}`);
      const { code, stderr } = await start(['0'], { clone: `${folder}${odd}` }).end;
      assert.is(code, 1);
      assert.match(stderr, /^error: the project cannot work in .*\n {2}why: .*\n {2}do: .*\n$/);
      renameSync(`${folder}${odd}`, folder);
    }
  }));

test('npm gets only the listed variables, and an unreadable list is reported first', () =>
  inClone(async ({ folder, npm, start, calls }) => {
    npm(`env | sed -n 's/^/npm has /p' >&2; ${installs}`);
    const env = { BASH_ENV: '/nowhere', SOPS_PGP_KEY: 'armour', PGHOST: 'x', AWS_PROFILE: 'team' };
    const { code, stderr } = await start(['0'], { env }).end;
    assert.is(code, 0, stderr);
    assert.match(stderr, 'npm has AWS_PROFILE=team');
    assert.not.match(stderr, /npm has (?:BASH_ENV|SOPS_PGP_KEY|PGHOST)=/);
    for (const text of ['{', '{"all":["*"]}']) {
      writeFileSync(join(folder, 'environments/variables.json'), text);
      const refused = await start(['0']).end;
      assert.is(refused.code, 1);
      assert.match(refused.stderr, /^error: environments\/variables\.json, .*\n {2}why: .*\n {2}do: .*\n$/);
    }
    assert.is(calls().length, 1);
  }));

test('npx gets a home if there is none', () =>
  inClone(async ({ folder, bin }) => {
    copyFileSync(new URL('../../../run', import.meta.url), join(folder, 'run'));
    writeFileSync(join(bin, 'npx'), '#!/bin/sh\necho "$HOME"\n', { mode: 0o755 });
    const homeOf = async (HOME: string | undefined): Promise<string> => {
      const { HOME: _, ...others } = process.env;
      const env = { ...others, PATH: `${bin}:${process.env.PATH}`, ...(HOME === undefined ? {} : { HOME }) };
      const { stdout } = await promisify(execFile)(join(folder, 'run'), ['status'], { env });
      return stdout.trim();
    };
    assert.is(await homeOf(bin), bin);
    assert.is(await homeOf(undefined), userInfo().homedir);
    for (const none of ['none', 'run']) assert.is(await homeOf(join(folder, none)), join(folder, '.home'));
  }));

test('./run reports a Node that can start neither tsx nor npx', () =>
  inClone(async ({ folder, bin }) => {
    const run = join(folder, 'run');
    copyFileSync(new URL('../../../run', import.meta.url), run);
    writeFileSync(join(bin, 'node'), '#!/bin/sh\n[ "$*" != -v ] || exec echo v16.20.2\nexit 9\n', {
      mode: 0o755,
    });
    const packages = join(folder, 'node_modules');
    for (const files of [[], ['.package-lock.json']]) {
      mkdirSync(packages, { recursive: true });
      for (const file of files) writeFileSync(join(packages, file), '{}');
      const { code, stderr } = await promisify(execFile)(run, ['status'], {
        env: { PATH: `${bin}:/usr/bin:/bin` },
      }).catch((error) => error);
      assert.is(code, 127);
      assert.match(stderr, /^error: Node v16\.20\.2 is too old\n {2}why: .*20 or newer\n {2}do: .*\n$/);
    }
  }));

test('a signal ends npm and its children', () =>
  inClone(async ({ npm, start }) => {
    npm('sleep 600 & echo "npm $$" >&2; wait');
    const door = start(['0']);
    await says(door, 'npm ');
    const group = Number(/npm (\d+)/.exec(door.output.stderr)?.[1]);
    door.kill('SIGTERM');
    assert.is((await door.end).code, 143);
    assert.not.ok(await isGroupAlive(group));
  }));

test('a signal is passed on to the repeated run, and its exit code is kept', () =>
  inClone(async ({ npm, start }) => {
    npm(installs);
    const door = start(['wait']);
    await says(door, 'waiting');
    door.kill('SIGINT');
    assert.is((await door.end).code, 130);
  }));

test('an old Node is reported before anything is installed', () =>
  inClone(async ({ npm, start, calls }) => {
    npm(installs);
    const old = `data:text/javascript,Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.8' } })`;
    const { code, stdout, stderr } = await start(['0'], { imports: [old] }).end;
    assert.is(code, 127);
    assert.is(stdout, '');
    assert.match(stderr, /^error: Node 18\.20\.8 is too old\n {2}why: .*20 or newer\n {2}do: .*\n$/);
    assert.equal(calls(), []);
  }));

test.run();
