import { appendFileSync, cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { newApp } from '../../../lib/applications/application.ts';
import { makeChanges } from '../../../lib/applications/changes.ts';
import { root } from '../../../lib/ground/project.ts';
import { loader, runFile } from '../../../lib/runner/tests/rig/ended.ts';
import { loadSettings } from '../../../lib/settings/settings.ts';
import { onlyExamples } from '../../rig/applications.ts';
import { codeOf, inlineCodeOf, pageOf, pages, rowsOf } from '../../rig/pages.ts';
import { copyProject } from '../../rig/project-copy.ts';
import { environmentIn } from '../../rig/task-context.ts';
import { printedBy } from '../golden/transcripts.ts';

/*
 * Commands in `sh` blocks, inline code and pipelines run. Those that a reader must adapt are in `bash` blocks or have a
 * <placeholder>.
 */

const clone = copyProject();
const { folder } = clone;
await onlyExamples(folder);
// As README.md says: a task more.
const [readme] = codeOf(pageOf('README.md')).filter(({ language }) => language === 'ts');
appendFileSync(join(folder, 'tasks/deploy.ts'), readme?.code ?? '');

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
const workflows = readdirSync(join(root, '.github/workflows')).map((name) => `.github/workflows/${name}`);
const pipelines = ['.gitlab-ci.yml', ...workflows].flatMap((file) =>
  [...readFileSync(join(root, file), 'utf8').matchAll(/^ +(?:- )?(?:run: )?(\S.*)$/gm)].map(
    ([, line = '']) => line,
  ),
);
const named = [...lines, ...pages.flatMap(inlineCodeOf), ...pipelines];
const calls = named.flatMap((line) => call.exec(line)?.[1]?.trim() ?? []);
const commands = [...new Set(calls)].map(wordsOf);

test('every task is called with valid arguments and options, that of README.md prints its command', async () => {
  assert.ok(commands.length > 30, `${commands.length} commands`);
  // They need a terminal, a run, a run that failed, and a run.
  const running = ['--choose', '--explain', '--resume', '--watch'];
  const dry = commands.filter((words) => !running.some((option) => words.includes(option)));
  const additions = ['new-app', 'new-environment'];
  const isNew = ([task = '']: readonly string[]) => additions.includes(task);
  const printed = await printedBy(
    folder,
    dry.filter(isNew).map((words) => ['--dry-run', ...words]),
  );
  assert.ok(printed.length >= additions.length);
  // What these add is there for the others.
  cpSync(join(folder, 'environments/development'), join(folder, 'environments/staging'), { recursive: true });
  const settings = await loadSettings({ name: 'development', provider: 'embedded', root: folder });
  const app3 = { name: 'app3', secrets: 'vault' } as const;
  const target = { environment: environmentIn(folder), settings };
  await makeChanges(folder, (await newApp(target, app3)).changes);
  const others = dry.filter((words) => !isNew(words)).map((words) => ['--dry-run', ...words]);
  const [history, help, ...more] = await printedBy(folder, [['history', 'app1-back'], ['--help'], ...others]);
  printed.push(...more);
  assert.equal(
    printed.filter(({ exitCode }) => exitCode !== 0).map(({ text }) => text),
    [],
  );
  assert.match(history?.text ?? '', /^helm .* --kube-context \S+ --namespace backend history app1-back$/m);
  for (const file of ['docs/tasks.md', 'lib/runner/README.md']) {
    const options = rowsOf(pageOf(file)).flatMap(([first = '']) =>
      /^`--?\w/.test(first) ? (first.match(/--[a-z-]+/g) ?? []) : [],
    );
    assert.ok(options.length > 8);
    for (const option of options) assert.match(help?.text ?? '', `${option} `, `${file}: ${option}`);
  }
});

test('every script of npm is one of package.json', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const called = named.flatMap((line) => /^npm run (?:-s )?([\w:]+)/.exec(line)?.[1] ?? []);
  assert.ok(called.length > 8);
  for (const name of called) assert.ok(name in scripts, name);
});

test('docs/runner.md: hello.ts runs', async () => {
  const code = codeOf(pageOf('docs/runner.md')).find(({ language }) => language === 'ts')?.code ?? '';
  writeFileSync(join(folder, 'hello.ts'), code);
  const words = ['--import', loader, 'hello.ts', 'party'];
  const { exitCode, stderr } = await runFile(process.execPath, words, folder);
  assert.is(exitCode, 0);
  for (const line of ['Hello, Ada', 'Hello, Grace', 'done']) assert.match(stderr, line);
});

test.run();
