import { mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/project.ts';
import { makeProgram, type Program } from '../../rig/program.ts';
import { inClone } from '../bootstrap/door-fixture.ts';

let program: Program;
test.before.each(() => {
  program = makeProgram();
});
test.after.each(() => program.remove());

/** What a command line prints; `loaded` says whether the tasks were loaded for it. */
async function answer(
  argv: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ text: string; loaded: boolean }> {
  program.settle();
  const before = program.loads();
  const { code, stdout, stderr } = await program.run(argv, env);
  assert.is(code, 0, stderr);
  assert.is(stderr, '');
  return { text: stdout, loaded: program.loads() > before };
}

test('list, --help, --version and completion scripts are answered without the tasks once they were answered', async () => {
  for (const argv of [[], ['--list'], ['-h'], ['--version'], ['completion', 'bash']]) {
    const first = await answer(argv);
    assert.ok(first.loaded, argv.join(' '));
    assert.equal(await answer(argv), { text: first.text, loaded: false }, argv.join(' '));
  }
  // One does not take the place of another.
  assert.not((await answer([])).loaded);
});

test('--list and -l are other forms of list, also beside a task and with --json', async () => {
  const { text } = await answer(['list']);
  assert.match(text, /^deploy\n {2}install-app <app> +install an application \(also install\)\n/m);
  for (const argv of [['--list'], ['-l'], [], ['install', '--list'], ['-l', '--env', 'x']])
    assert.is((await answer(argv)).text, text, argv.join(' '));
  const json = (await answer(['list', '--json'])).text;
  assert.is(JSON.parse(json)[0].name, 'install-app');
  assert.is((await answer(['-l', '--json'])).text, json);
});

test('a change of any source shows at once', async () => {
  const list = async (): Promise<string> => (await answer(['list'])).text;
  assert.match(await list(), 'install an application');
  await list();
  const tasks = join(program.folder, 'all.ts');
  const text = readFileSync(tasks, 'utf8');
  const time = new Date(0);
  const change = (words: string): void => {
    writeFileSync(tasks, text.replace('install an application', words));
    utimesSync(tasks, time, time);
  };
  change('install one application');
  assert.match(await list(), 'install one application');
  assert.not((await answer(['list'])).loaded);
  // Of the same size, and of the same time as far as that can be set.
  change('install two application');
  assert.match(await list(), 'install two application');
  for (const change of [
    () => mkdirSync(join(program.folder, 'environments', 'stage')),
    () => rmSync(join(program.folder, 'apps.txt')),
    () => program.write('apps.txt', 'app1\n'),
    () => program.write('.env', 'NAME=value\n'),
    () => program.write('more.ts', ''),
  ]) {
    assert.not((await answer(['list'])).loaded, String(change));
    change();
    assert.ok((await answer(['list'])).loaded, String(change));
  }
});

test('answers for another view are not mixed up', async () => {
  const plain = await answer(['list']);
  const coloured = await answer(['list'], { NO_COLOR: '', FORCE_COLOR: '1' });
  assert.not.match(plain.text, '\u001B[');
  assert.match(coloured.text, '\u001B[');
  assert.equal(await answer(['list']), { ...plain, loaded: false });
  assert.equal(await answer(['list'], { NO_COLOR: '', FORCE_COLOR: '1' }), { ...coloured, loaded: false });
});

test('where nothing can be remembered, or what is remembered is damaged, the answer is made anew', async () => {
  const { text } = await answer(['list']);
  for (const cache of ['/dev/null/none', 'relative']) {
    const env = { XDG_CACHE_HOME: cache, HOME: '/dev/null' };
    assert.equal(await answer(['list'], env), { text, loaded: true });
  }
  const memory = join(program.cache, 'task-runner', program.main.replaceAll('/', '%'), 'answers.json');
  for (const damage of [
    '',
    '{',
    '{"answers":{}}',
    'null',
    readFileSync(memory, 'utf8').replace(program.main, '/other'),
  ]) {
    writeFileSync(memory, damage);
    assert.equal(await answer(['list']), { text, loaded: true }, damage.slice(0, 20));
  }
});

test('mistakes and everything that is not a plain question go to the tasks', async () => {
  const { code, stderr } = await program.run(['list', '--nonsense']);
  assert.is(code, 2);
  assert.match(stderr, 'unknown option `--nonsense`');
  for (const argv of [
    ['--version', '--verbose'],
    ['install', '--help'],
  ]) {
    await answer(argv);
    assert.ok((await answer(argv)).loaded, argv.join(' '));
  }
});

test('a reader that has gone away is no error', async () => {
  await answer(['list']);
  for (const _ of [1, 2]) {
    const script = 'set -o pipefail; node --import tsx tasks.ts list | true';
    const { code, stderr } = await program.command('bash', ['-c', script]);
    assert.is(code, 0, stderr);
  }
});

test('the command line wins over the environment, that over .env, that over the default', async () => {
  const installed = async (argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> => {
    const { code, stderr } = await program.run(
      ['install', 'app1', '--output', 'plain', '--verbose', ...argv],
      env,
    );
    assert.is(code, 0, stderr);
    return /^.*installed app1 (\w+)$/m.exec(stderr)?.[1] ?? stderr;
  };
  assert.is(await installed([]), 'dev');
  program.write('.env', '# a comment\nPROGRAM_ENV="file"\n');
  assert.is(await installed([]), 'file');
  assert.is(await installed([], { PROGRAM_ENV: 'variable' }), 'variable');
  assert.is(await installed(['--env', 'words'], { PROGRAM_ENV: 'variable' }), 'words');
  program.write('.env', `\uFEFFexport BASE=fi\r\nPROGRAM_ENV=\${BASE}le # a comment\r\n`);
  assert.is(await installed([]), 'file');
  for (const [content, why] of [
    ['A=1\nhunter2\n', 'line 2 is not NAME=value'],
    ['A=\0', 'it is not text in UTF-8'],
  ]) {
    program.write('.env', String(content));
    const { code, stderr } = await program.run(['install', 'app1']);
    assert.is(code, 1);
    assert.match(
      stderr,
      new RegExp(`^error: cannot read .*\\.env\\n  why: ${why}\\n  do: fix it and run again\\n$`),
    );
  }
  rmSync(join(program.folder, '.env'));
  mkdirSync(join(program.folder, '.env'));
  const { code, stderr } = await program.run(['install', 'app1']);
  assert.is(code, 1);
  assert.match(stderr, /^error: cannot read .*\.env\n/);
});

/** Tells at the end which scripts V8 holds. */
const tellModules = `import { Session } from 'node:inspector';
     import { writeSync } from 'node:fs';
     process.on('exit', () => {
       const session = new Session();
       session.on('Debugger.scriptParsed', ({ params }) => writeSync(2, params.url + '\\n'));
       session.connect();
       session.post('Debugger.enable');
     });`;

/** The modules of the project that this command line loads, told by V8 at the end. */
async function loadedModules(argv: readonly string[]): Promise<string[]> {
  const words = [
    '--import',
    join(program.folder, 'environments/modules.mjs'),
    '--import',
    'tsx',
    join(root, 'tasks.ts'),
    ...argv,
  ];
  const { code, stderr } = await program.command('node', words);
  assert.is(code, 0);
  return stderr.split('\n').filter((url) => url.startsWith('file:') && !url.includes('/node_modules/tsx/'));
}

test('of this project, --version loads next to nothing, and so does a list that is remembered', async () => {
  program.write('environments/modules.mjs', tellModules);
  const names = (urls: readonly string[]): string[] =>
    urls.map((url) => url.replace(/.*\/(?=[^/]+\/[^/]+$)/, '')).filter((url) => !url.includes('modules.mjs'));
  const folder = root.replace(/.*\//, '');
  const least = [`${folder}/tasks.ts`, 'runner/quick-answer.ts', 'lib/main.js'];
  assert.equal([...new Set(names(await loadedModules(['--version'])))].sort(), [...least].sort());
  for (const argv of [['list'], ['--help']]) {
    const first = await loadedModules(argv);
    assert.ok(first.length > 50, 'the tasks were loaded');
    for (const heavy of ['zx', 'yaml', 'p-queue', 'pg'])
      assert.not(
        first.some((url) => url.includes(`/node_modules/${heavy}/`)),
        `${argv} loads ${heavy}`,
      );
    assert.equal([...new Set(names(await loadedModules(argv)))].sort(), [...least].sort());
  }
});

test('./run is found through links, from any folder, whatever CDPATH says', async () => {
  const bin = join(program.folder, '../links');
  mkdirSync(join(bin, 'lib'), { recursive: true });
  symlinkSync(join(root, 'run'), join(bin, 'tasks'));
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const at = (script: string) =>
    program.command('sh', ['-c', script, 'sh', root, bin], { CDPATH: `${dirname(root)}:${bin}:${root}` });
  for (const script of [
    '"$2/tasks" --version',
    'cd "$1" && ./run --version',
    'cd "$1/lib" && ../run --version',
    'cd "$1" && lib/../run --version',
    'cd "$1" && sh run --version',
    'PATH="$1:$PATH"; run --version',
  ]) {
    const { code, stdout, stderr } = await at(script);
    assert.is(code, 0, stderr);
    assert.is(stdout, `${version}\n`, script);
  }
});

test('a completion script that asks on a fresh clone installs nothing', () =>
  inClone(async ({ npm, start, calls }) => {
    npm('exit 0');
    const { code, stdout, stderr } = await start(['__complete']).end;
    assert.is(code, 1);
    assert.is(stdout + stderr, '');
    assert.equal(calls(), []);
  }));

test.run();
