import { execFile } from 'node:child_process';
import { appendFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { loader, runFile } from '../../../lib/runner/tests/rig/run-file.ts';
import { codeOf, inlineCodeOf, pageOf, pages, rowsOf } from '../../rig/pages.ts';
import { copyProject, type ProjectCopy } from '../../rig/project-copy.ts';

/* Commands in `sh` blocks and in inline code run. Commands that a reader must adapt are in `bash` blocks or have a <placeholder>. */

const test = suite('commands of the documentation');

let clone: ProjectCopy;
test.before(() => {
  clone = copyProject();
  // As README.md says: an environment and a task more.
  const environments = join(clone.folder, 'environments');
  cpSync(join(environments, 'development'), join(environments, 'staging'), { recursive: true });
  const [code] = codeOf(pageOf('README.md')).filter(({ language }) => language === 'ts');
  appendFileSync(join(clone.folder, 'tasks/deploy.ts'), code?.code ?? '');
});
test.after(() => clone.remove());

/** Lines of the `sh` blocks, without comments. */
const lines = pages.flatMap((page) =>
  codeOf(page)
    .filter(({ language }) => language === 'sh')
    .flatMap(({ code }) => code.split('\n'))
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim()),
);

/** Words of a command line as a shell reads them, without substitutions and redirections. */
const wordsOf = (line: string): string[] =>
  (line.replace(/ >.*$/, '').match(/'[^']*'|\S+/g) ?? []).map((word) => word.replaceAll("'", ''));

/** Words of every call of a task, each once: from the start of a line, from `$(…)`, up to `|`. */
const call = /(?:^|\$\()(?:\.\/run|npx tsx tasks\.ts) ([^<…)|]+)(?:\)"| \| .*)?$/;
const calls = [...lines, ...pages.flatMap(inlineCodeOf)].flatMap(
  (line) => call.exec(line)?.[1]?.trim() ?? [],
);
const commands = [...new Set(calls)].map(wordsOf);

test('every task is called with valid arguments and options', async () => {
  assert.ok(commands.length > 30, `${commands.length} commands`);
  // They need a terminal, a run that failed, and a run.
  const running = ['--choose', '--resume', '--watch'];
  const dry = commands.filter((words) => !running.some((option) => words.includes(option)));
  const printer = fileURLToPath(new URL('../golden/print-transcripts.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      '--import',
      loader,
      printer,
      clone.folder,
      join(clone.folder, 'tasks/all.ts'),
      JSON.stringify(dry.map((words) => ['--dry-run', ...words])),
    ],
    { cwd: clone.folder, env: { PATH: '', HOME: '/nonexistent' } },
  );
  const codes = (JSON.parse(stdout) as { exitCode: number }[]).map(({ exitCode }) => exitCode);
  assert.equal(
    dry.filter((_, index) => codes[index] !== 0).map((words) => words.join(' ')),
    [],
  );
});

test('every global option that a page lists is in the help', async () => {
  const { stdout } = await runFile(
    process.execPath,
    ['--import', loader, 'tasks.ts', '--help'],
    clone.folder,
  );
  for (const file of ['docs/tasks.md', 'lib/runner/README.md']) {
    const options = rowsOf(pageOf(file)).flatMap(([first = '']) =>
      /^`--?\w/.test(first) ? (first.match(/--[a-z-]+/g) ?? []) : [],
    );
    assert.ok(options.length > 8);
    for (const option of options) assert.match(stdout, `${option} `, `${file}: ${option}`);
  }
});

test('every script of npm is one of package.json', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: { [name: string]: string };
  };
  const named = [...lines, ...pages.flatMap(inlineCodeOf)];
  const called = named.flatMap((line) => /^npm run (?:-s )?([\w:]+)/.exec(line)?.[1] ?? []);
  assert.ok(called.length > 8);
  assert.equal(
    called.filter((name) => !(name in scripts)),
    [],
  );
});

test('README.md: the task that it adds prints its command', async () => {
  const words = ['--import', loader, 'tasks.ts', 'history', 'app1-back', '--dry-run'];
  const { exitCode, stdout } = await runFile(process.execPath, words, clone.folder);
  assert.is(exitCode, 0);
  assert.match(stdout, /^helm --kubeconfig \S+ --kube-context \S+ --namespace backend history app1-back$/m);
});

test('docs/runner.md: hello.ts runs', async () => {
  const code = codeOf(pageOf('docs/runner.md')).find(({ language }) => language === 'ts')?.code ?? '';
  writeFileSync(join(clone.folder, 'hello.ts'), code);
  const { exitCode, stderr } = await runFile(
    process.execPath,
    ['--import', loader, 'hello.ts', 'party'],
    clone.folder,
  );
  assert.is(exitCode, 0);
  for (const line of ['Hello, Ada', 'Hello, Grace', 'done']) assert.match(stderr, line);
});

test.run();
