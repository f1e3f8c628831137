import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root as project } from '../../../lib/ground/project.ts';
import { npmEnvironment } from '../../../lib/ground/variables.ts';
import { isGroupAlive } from '../../../lib/runner/process-identity.ts';
import { loader, runFile } from '../../../lib/runner/tests/rig/ended.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';
import { RunnerProcess } from '../../../lib/runner/tests/rig/rig.ts';
import { outputOf } from '../../rig/programs.ts';

/** The stand-in for the tasks prints its input; `wait` runs until a signal arrives. */
const all = `
export async function run(argv) {
  const { TASKS_PACKAGES_INSTALLED: mark = null } = process.env;
  console.log(JSON.stringify({ argv, cwd: process.cwd(), execArgv: process.execArgv, mark }));
  if (argv[0] !== 'wait') return Number(argv[0]);
  return new Promise((resolve) => {
    const timer = setInterval(() => {}, 1000);
    const stop = (code) => () => { clearInterval(timer); resolve(code); };
    process.on('SIGINT', stop(130)).on('SIGTERM', stop(143));
    process.stderr.write('waiting\\n');
  });
}
`;

const running: ChildProcess[] = [];
test.after.each(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
});

/** A clone of this project as far as the door goes: no node_modules, stand-in tasks, and a lockfile of one package. */
function makeClone() {
  const base = temporaryFolder();
  const [bin, folder, log] = [join(base, 'bin'), join(base, 'a clone'), join(base, 'calls')];
  fs.mkdirSync(bin);
  const ours = ['environments/variables.json', 'lib/start/bootstrap.ts', 'lib/ground/variables.ts'];
  for (const path of ['tasks.ts', ...ours, 'lib/runner'])
    fs.cpSync(join(project, path), join(folder, path), { recursive: true });
  fs.mkdirSync(join(folder, 'tasks'));
  fs.writeFileSync(join(folder, 'tasks/all.ts'), all);
  fs.writeFileSync(join(folder, 'package.json'), '{"type": "module"}\n');
  fs.writeFileSync(join(folder, 'package-lock.json'), lockfile('4.23.15'));
  const head = `#!/bin/sh\nLOG='${log}' TSX='${join(project, 'node_modules', 'tsx')}'\necho "$*" >> "$LOG"\n`;
  return {
    folder,
    bin,
    npm: (text: string) => fs.writeFileSync(join(bin, 'npm'), `${head}${text}\n`, { mode: 0o755 }),
    calls: () => (fs.existsSync(log) ? fs.readFileSync(log, 'utf8').trim().split('\n') : []),
    /** `clone` is where it is by now. */
    start: (
      argv: readonly string[],
      { imports = [] as string[], path = `${bin}:/usr/bin:/bin`, env = {}, clone = folder } = {},
    ) => {
      const before = [loader, ...imports].flatMap((url) => ['--import', url]);
      const child = spawn(process.execPath, [...before, join(clone, 'tasks.ts'), ...argv], {
        cwd: base,
        env: { ...process.env, PATH: path, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      running.push(child);
      const run = new RunnerProcess(child);
      const end = run.exit.then((exitCode) => ({ exitCode, stdout: run.stdout, stderr: run.stderr }));
      return Object.assign(run, { end });
    },
  };
}

type End = Promise<{ readonly exitCode: unknown; readonly stdout: string; readonly stderr: string }>;

async function fails(end: End, exitCode: number, what: string, why = '.*'): Promise<void> {
  const ended = await end;
  assert.equal([ended.exitCode, ended.stdout], [exitCode, '']);
  assert.match(ended.stderr, new RegExp(`(?:^|\\n)error: ${what}\\n {2}why: ${why}\\n {2}do: .*\\n$`));
}

async function succeeds(end: End): Promise<string> {
  const { exitCode, stderr } = await end;
  assert.is(exitCode, 0, stderr);
  return stderr;
}

/** What a fake npm does to install: it links the real tsx. */
const installs = `
echo "npm speaks on stdout"
mkdir -p node_modules && ln -sfn "$TSX" node_modules/tsx && cp package-lock.json node_modules/.package-lock.json`;

const lockfile = (version: string): string =>
  JSON.stringify({
    packages: {
      '': { name: 'clone' },
      'node_modules/tsx': { version, integrity: 'sha512-tsx' },
      'node_modules/@esbuild/far-away': { version: '1.0.0', optional: true },
    },
  });

test('a fresh clone gets packages, and the run continues with their tsx; later only for another lockfile', async () => {
  const { folder, npm, start, calls } = makeClone();
  npm(installs);
  const { exitCode, stdout, stderr } = await start(['7', '--env', 'a b']).end;
  assert.is(exitCode, 7, stderr);
  const { argv, cwd, execArgv, mark } = JSON.parse(stdout);
  assert.equal(argv, ['7', '--env', 'a b']);
  assert.is(cwd, folder);
  assert.equal(execArgv, ['--max-semi-space-size=2', '--import', 'tsx']);
  assert.is(mark, null);
  assert.equal(calls(), ['ci --include=dev --no-audit --no-fund --loglevel=error']);
  assert.match(stderr, /^installing npm packages…\nnpm speaks on stdout\n/);
  assert.not.ok(fs.existsSync(join(folder, '.state')), 'no environment files are created');
  // The same text with another time.
  fs.writeFileSync(join(folder, 'package-lock.json'), lockfile('4.23.15'));
  const second = await start(['3']).end;
  assert.equal([second.exitCode, second.stderr, calls().length], [3, '', 1]);
  fs.writeFileSync(join(folder, 'package-lock.json'), lockfile('4.24.0'));
  // As from an archive.
  fs.utimesSync(join(folder, 'package-lock.json'), 1, 1);
  await succeeds(start(['0']).end);
  assert.is(calls().length, 2);
});

test('two runs on a fresh clone install once', async () => {
  const { folder, npm, start, calls } = makeClone();
  const gate = join(folder, 'gate');
  execFileSync('mkfifo', [gate]);
  npm(`echo installing >&2; read -r line < gate; ${installs}`);
  const first = start(['0']);
  await first.says('installing\n');
  const second = start(['5']);
  await second.says(`waiting for process ${first.child.pid}, which is installing the npm packages…`);
  await fs.promises.writeFile(gate, 'on\n');
  await succeeds(first.end);
  const { exitCode, stderr } = await second.end;
  assert.is(exitCode, 5, stderr);
  assert.is(calls().length, 1);
});

test('an npm that fails or installs nothing is an error with advice, and project settings override the user’s', async () => {
  const { folder, npm, start } = makeClone();
  npm('echo "npm error code ENOTFOUND" >&2; exit 4');
  const failing = start(['0']);
  await fails(failing.end, 1, '`npm ci` failed with exit code 4.*');
  assert.match(failing.stderr, 'npm error code ENOTFOUND\nerror: ');
  npm('exit 0');
  await fails(start(['0']).end, 1, '`npm ci` ended well, but .* not there');
  fs.copyFileSync(join(project, '.npmrc'), join(folder, '.npmrc'));
  const userconfig = join(folder, 'user.npmrc');
  fs.writeFileSync(userconfig, 'global=true\nlocation=global\ndry-run=true\npackage-lock-only=true\n');
  const words = ['config', 'list', '--json', '--userconfig', userconfig];
  const env = npmEnvironment(process.env);
  const config = JSON.parse(await outputOf({ folder, env }, 'npm', words));
  for (const name of ['global', 'dry-run', 'package-lock-only']) assert.is(config[name], false, name);
  assert.is(config.location, 'project');
});

test('without npm the error says so, with exit code 127', async () => {
  const { bin, start } = makeClone();
  fs.symlinkSync('/bin/sh', join(bin, 'sh'));
  const starting = start(['0'], { path: bin });
  await fails(starting.end, 127, 'npm cannot be started.*');
  assert.match(starting.stderr, 'do: put npm on PATH');
});

test('a path that programs would split is refused, and only the user can write what a run creates', async () => {
  const { folder, npm, start } = makeClone();
  npm(installs);
  // It would let all but the owner write.
  const imports = ['data:text/javascript,process.umask(0o700)'];
  await succeeds(start(['0'], { imports }).end);
  assert.is(fs.statSync(join(folder, 'node_modules')).mode & 0o777, 0o755);
  for (const odd of ['a:b', 'a\nb']) {
    const clone = `${folder}${odd}`;
    fs.renameSync(folder, clone);
    await fails(start(['0'], { clone }).end, 1, 'the project cannot work in .*');
    fs.renameSync(clone, folder);
  }
});

test('npm gets only the listed variables, and an unreadable list is reported first', async () => {
  const { folder, npm, start, calls } = makeClone();
  npm(`env | sed -n 's/^/npm has /p' >&2; ${installs}`);
  const env = { BASH_ENV: '/nowhere', SOPS_PGP_KEY: 'armour', PGHOST: 'x', AWS_PROFILE: 'team' };
  const stderr = await succeeds(start(['0'], { env }).end);
  assert.match(stderr, 'npm has AWS_PROFILE=team');
  assert.not.match(stderr, /npm has (?:BASH_ENV|SOPS_PGP_KEY|PGHOST)=/);
  for (const text of ['{', '{"all":["*"]}']) {
    fs.writeFileSync(join(folder, 'environments/variables.json'), text);
    await fails(start(['0']).end, 1, 'environments/variables\\.json, .*');
  }
  assert.is(calls().length, 1);
});

test('npx gets a home if there is none', async () => {
  const { folder, bin } = makeClone();
  fs.copyFileSync(join(project, 'run'), join(folder, 'run'));
  fs.writeFileSync(join(bin, 'npx'), '#!/bin/sh\necho "$HOME"\n', { mode: 0o755 });
  const homeOf = async (HOME: string | undefined): Promise<string> => {
    const { HOME: _, ...others } = process.env;
    const env = { ...others, PATH: `${bin}:${process.env.PATH}`, ...(HOME === undefined ? {} : { HOME }) };
    return (await outputOf({ folder, env }, './run', ['status'])).trim();
  };
  assert.is(await homeOf(bin), bin);
  assert.is(await homeOf(undefined), userInfo().homedir);
  for (const none of ['none', 'run']) assert.is(await homeOf(join(folder, none)), join(folder, '.home'));
});

test('./run reports a Node that can start neither tsx nor npx', async () => {
  const { folder, bin } = makeClone();
  const run = join(folder, 'run');
  fs.copyFileSync(join(project, 'run'), run);
  const old = '#!/bin/sh\n[ "$*" != -v ] || exec echo v16.20.2\nexit 9\n';
  fs.writeFileSync(join(bin, 'node'), old, { mode: 0o755 });
  const packages = join(folder, 'node_modules');
  for (const files of [[], ['.package-lock.json']]) {
    fs.mkdirSync(packages, { recursive: true });
    for (const file of files) fs.writeFileSync(join(packages, file), '{}');
    const PATH = `${bin}:/usr/bin:/bin`;
    await fails(
      runFile(run, ['status'], folder, { PATH }),
      127,
      'Node v16\\.20\\.2 is too old',
      '.*20 or newer',
    );
  }
});

test('a signal ends npm and its children', async () => {
  const { npm, start } = makeClone();
  npm('sleep 600 & echo "npm $$" >&2; wait');
  const door = start(['0']);
  await door.says('npm ');
  const group = Number(/npm (\d+)/.exec(door.stderr)?.[1]);
  door.kill('SIGTERM');
  assert.is((await door.end).exitCode, 143);
  assert.not.ok(await isGroupAlive(group));
});

test('a signal is passed on to the repeated run, and its exit code is kept', async () => {
  const { npm, start } = makeClone();
  npm(installs);
  const door = start(['wait']);
  await door.says('waiting');
  door.kill('SIGINT');
  assert.is((await door.end).exitCode, 130);
});

test('an old Node, and Windows, are reported before anything is installed', async () => {
  const { npm, start, calls } = makeClone();
  npm(installs);
  const having = (property: string, value: string) =>
    start(['0'], {
      imports: [`data:text/javascript,Object.defineProperty(process, '${property}', { value: ${value} })`],
    }).end;
  const old = having('versions', "{ ...process.versions, node: '18.20.8' }");
  await fails(old, 127, 'Node 18\\.20\\.8 is too old', '.*20 or newer');
  await fails(having('platform', "'win32'"), 1, 'the tasks do not run on Windows itself');
  assert.equal(calls(), []);
});

test('a completion script that asks on a fresh clone installs nothing', async () => {
  const { npm, start, calls } = makeClone();
  npm('exit 0');
  assert.equal(await start(['__complete']).end, { exitCode: 1, stdout: '', stderr: '' });
  assert.equal(calls(), []);
});

test.run();
