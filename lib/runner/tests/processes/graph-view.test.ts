import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { copyProject } from '../../../../tests/rig/project-copy.ts';
import { type RigTask, rig, useRig } from '../rig/rig.ts';

useRig(test);

const tasks: readonly RigTask[] = [
  { name: 'tool', private: true, commands: ['never run'] },
  { name: 'build', needs: ['tool'], commands: ['never run'] },
  { name: 'test', needs: ['build'], after: ['tool'], commands: ['never run'], confirm: 'really?' },
];

async function graph(...args: string[]) {
  const run = rig.run(tasks, args);
  const exitCode = await run.exit;
  return { exitCode, stdout: run.stdout, stderr: run.stderr };
}

test('graph prints what a task needs on stdout, and runs and asks nothing', async () => {
  const { exitCode, stdout, stderr } = await graph('graph', 'test');
  assert.is(exitCode, 0);
  assert.is(stderr, '');
  assert.match(stdout, 'flowchart LR\n  n0["tool"]\n  n1["build"]\n  n2["test"]\n  n0 --> n1\n');
});

test('each format is one word away, wherever it stands', async () => {
  for (const args of [
    ['graph', 'test', '--format', 'dot'],
    ['graph', '--format=dot', 'test'],
    ['--format', 'dot'],
  ]) {
    const { exitCode, stdout, stderr } = await graph(...args);
    if (args.includes('graph')) assert.match(stdout, /^digraph "test" \{\n/);
    else assert.equal([exitCode, stderr.split('\n')[0]], [2, 'error: unknown option `--format`']);
  }
  assert.is(JSON.parse((await graph('graph', 'test', '--format', 'json')).stdout).nodes.length, 3);
  assert.is(JSON.parse((await graph('--json', 'graph', 'test')).stdout).nodes.length, 3);
});

test('without a task all public tasks are drawn, those of the runner left out', async () => {
  const { nodes } = JSON.parse((await graph('graph', '--json')).stdout);
  assert.equal(
    nodes.map(({ label }: { label: string }) => label),
    ['build', 'test', 'tool'],
  );
});

test('a private task can be looked at, and is still not to be called', async () => {
  assert.match((await graph('graph', 'tool')).stdout, 'flowchart LR\n  n0["tool"]\n');
  assert.match((await graph('tool')).stderr, 'unknown task `tool`');
});

test('mistakes are told as for a run', async () => {
  const unknown = await graph('graph', 'tset');
  assert.is(unknown.exitCode, 2);
  assert.match(unknown.stderr, /unknown task `tset`\n.*`test`/);
  const format = await graph('graph', 'test', '--format', 'png');
  assert.is(format.exitCode, 2);
  assert.match(format.stderr, 'unknown format `png`\n  why: possible: mermaid, dot, json');
  assert.match((await graph('graph', 'test', 'word')).stderr, 'unexpected argument `word` for task `test`');
  assert.match((await graph('graph', 'test', '--environment', 'nowhere')).stderr, 'unknown environment');
});

test('the word graph is only a task where a task can stand', async () => {
  const value = await graph('--environment', 'graph', 'graph', 'build');
  assert.match(value.stdout, 'n1["build"]');
  const help = await graph('graph', '--help');
  assert.match(help.stdout, 'usage: rig graph [task]… [--format <format>]');
});

test("the project's own graphs follow the options, with arguments of the task", async () => {
  const copy = copyProject();
  const { CLUSTER_PROVIDER: _, CLUSTER_CONTEXT: __, ENVIRONMENT: ___, ...env } = process.env;
  const print = async (...args: string[]) => {
    const words = ['graph', ...args, '--provider', 'embedded'];
    return (await promisify(execFile)('./run', words, { cwd: copy.folder, env })).stdout;
  };
  try {
    const { nodes, edges } = JSON.parse(
      await print('create-environment', '--env', 'development', '--format', 'json'),
    ) as {
      nodes: { id: string; label: string; marks: string[] }[];
      edges: { from: string; to: string; kind: string }[];
    };
    const of = (label: string) => nodes.find((node) => node.label === label);
    assert.ok(nodes.length > 20);
    assert.equal(of('create-environment')?.marks, ['requested']);
    assert.equal(of('install-tool etcd')?.marks, ['private']);
    const kinds = edges.filter(({ to }) => to === of('install-tier core')?.id).map(({ kind }) => kind);
    assert.ok(kinds.includes('need') && kinds.includes('after'));
    assert.match(await print('install-app', 'app1'), '["install-app app1"]');
    assert.match(await print('--format', 'dot'), 'digraph "all tasks"');
  } finally {
    copy.remove();
  }
});

test.run();
