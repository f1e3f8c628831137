import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runnerOptions } from '../../global-options.ts';
import { helpText, listJson, listText, taskHelpText } from '../../list.ts';
import { createStyle } from '../../output/terminal.ts';
import { listTask } from '../../own-tasks.ts';
import { type AnyTask, need } from '../../task.ts';
import { number, plain } from '../rig/graphs.ts';

const create = plain('create-k8s', { group: 'cluster', description: 'makes the cluster' });
const hidden = plain('hidden', { private: true });
const install = plain('install-app', {
  ...{ group: 'deploy', aliases: ['install'], description: 'deploys one application' },
  args: {
    app: { type: 'choice', positional: true, description: 'the application', choices: () => ['app1'] },
    timeout: { ...number, default: 60, short: 't', description: 'seconds to wait' },
  },
  needs: ({ args }) => [need(create), ...(args.app === 'x' ? [hidden] : [])],
});
const tasks: AnyTask[] = [create, install, hidden, listTask];
const viewOf = (columns: number, unicode = true) => {
  return { program: 'run', columns, style: createStyle(false, unicode) };
};

test('tasks are listed by group, aligned, private ones left out, list itself included', () => {
  const text = `usage: run <task> [arguments] [options] [, <task> …]
       run <task> --help

cluster
  create-k8s         makes the cluster

deploy
  install-app <app>  deploys one application (also install)

runner
  list               show all tasks
`;
  assert.is(listText(tasks, viewOf(80)), text);
});

test('any number of tasks in any number of groups is listed', () => {
  const named = (index: number): AnyTask => ({ ...create, name: `t${index}`, group: `g${index % 10_000}` });
  const many = Array.from({ length: 200_000 }, (_, index) => named(index));
  const lines = listText(many, viewOf(80)).split('\n');
  assert.is(lines.length, 2 + 2 * 10_000 + many.length + 1);
  assert.equal(lines.slice(2, 5), ['', 'g0', '  t0       makes the cluster']);
});

test('in a narrow terminal no task is wider than it, and where names take all the room descriptions go below them', () => {
  for (const columns of [44, 30, 12])
    for (const symbols of [true, false])
      for (const line of listText(tasks, viewOf(columns, symbols)).split('\n').slice(2))
        assert.ok(line.length <= columns, line);
  const has = (columns: number, text: string, unicode = true): void =>
    assert.match(listText(tasks, viewOf(columns, unicode)), text);
  has(60, '  install-app <app>  deploys one application (also install)\n');
  has(50, '  install-app <app>  deploys one application (als…\n');
  has(44, '  install-app <app>\n      deploys one application (also install)\n');
  has(40, '  install-app <app>\n      deploys one application (also ins…\n');
  has(40, '      deploys one application (also i...\n', false);
  // A very long name does not push the others' descriptions away.
  const long = plain('a'.repeat(60), { description: 'long' });
  const text = listText([create, long], viewOf(100));
  assert.match(text, `  create-k8s${' '.repeat(36)}makes the cluster\n`);
  assert.match(text, `  ${'a'.repeat(60)}\n${' '.repeat(48)}long\n`);
});

test('the list for programs has every field of every public task', () => {
  const entries = JSON.parse(listJson(tasks, {}));
  const names = entries.map(({ name }: { name: string }) => name);
  assert.equal(names, ['create-k8s', 'install-app', 'list']);
  const { line, file, ...entry } = entries[1];
  assert.match(file, /list\.test\.ts$/);
  assert.type(line, 'number');
  // A copied task is declared where the original is.
  const late = plain('late', {
    needs: ({ options }) => Object.keys(options.env as object).map(() => create),
  });
  const [copy, other] = JSON.parse(listJson([{ ...install }, late], {}));
  assert.equal([copy.file, copy.line], [file, line]);
  assert.is(other.needs, undefined, 'not known without arguments');
  assert.equal(entry, {
    name: 'install-app',
    aliases: ['install'],
    group: 'deploy',
    description: 'deploys one application',
    args: [
      { name: 'app', type: 'choice', positional: true, description: 'the application' },
      { name: 'timeout', type: 'number', default: 60, short: 't', description: 'seconds to wait' },
    ],
    needs: ['create-k8s'],
  });
});

test('help of a task explains arguments, options, needs, aliases and place, that of everything tasks and global options', () => {
  const ofTask = taskHelpText(install, viewOf(80));
  for (const part of [
    ...['usage: run install-app <app> [--timeout <number>]', 'deploys one application'],
    ...['<app>  the application', '-t, --timeout <number>  seconds to wait (default 60)'],
    ...['needs: create-k8s', 'also: install', 'list.test.ts:'],
  ])
    assert.match(ofTask, part);
  const ofAll = helpText(tasks, runnerOptions, viewOf(80));
  for (const part of ['create-k8s', '-j, --jobs <number>', '--no-wait', '-h, --help'])
    assert.match(ofAll, part);
});

test.run();
