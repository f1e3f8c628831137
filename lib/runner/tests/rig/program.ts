import { chmodSync, copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { root } from '../../../ground/project.ts';
import { bundle, runFile } from './ended.ts';
import { temporaryFolder } from './folder.ts';

const tasksFile = `
import { readFileSync } from 'node:fs';
import { runCli, task } from '${root}/lib/runner/runner.ts';

const here = import.meta.dirname;
const apps = () => readFileSync(here + '/apps.txt', 'utf8').trim().split('\\n');
const app = { type: 'choice', positional: true, choices: apps, noun: 'app', description: 'an application' } as const;

const install = task({
  name: 'install-app',
  aliases: ['install'],
  group: 'deploy',
  description: 'install an application',
  passThrough: true,
  args: {
    app,
    tier: { type: 'choice', choices: ({ env }) => ['core-' + env, 'apps-' + env], optional: true, short: 't', description: 'the tier' },
    values: { type: 'string', optional: true, description: 'a file' },
    retries: { type: 'number', default: 1, description: 'how often' },
    atomic: { type: 'boolean', default: true, description: 'in parts' },
  },
  commands: ({ args, options, passThrough }) => ['echo installed ' + [args.app, options.env, ...passThrough].join(' ')],
});

const label = task({
  name: 'label',
  group: 'deploy',
  description: 'several required arguments',
  confirm: 'label it?',
  args: {
    app,
    count: { type: 'number', positional: true, description: 'how many' },
    colour: { type: 'string', suggestions: ['red', 'green'], description: 'the colour' },
  },
  commands: ({ args }) => ['echo labelled ' + [args.app, args.count, args.colour].join(' ')],
});

const hidden = task({ name: 'inner', private: true, description: 'not to be seen', commands: () => [] });

const env = { type: 'string', short: 'e', env: 'PROGRAM_ENV', default: 'dev', suggestions: ['dev', 'prod'] } as const;

process.exitCode = await runCli([install, label, hidden], process.argv.slice(2), {
  program: './run',
  version: '1.2.3',
  launcher: 'run',
  dotenv: here + '/.env',
  options: { env: { ...env, description: 'the environment' } },
});
`;

/** A small program of tasks in a folder of its own. */
export type Program = Awaited<ReturnType<typeof makeProgram>>;

/** Folder of the first one, which was bundled: all are the same. */
let model: string | undefined;

export async function makeProgram() {
  const base = temporaryFolder();
  const folder = join(base, 'a program');
  const bin = join(base, 'bin');
  const log = join(base, 'starts');
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  for (const path of [folder, bin]) mkdirSync(path);
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  write('package.json', '{"type": "module"}\n');
  write('tasks.ts', tasksFile);
  write('apps.txt', 'app1\napp2\n');
  write('run', '#!/bin/sh\ncd "$(dirname "$0")" && exec node program.mjs "$@"\n');
  const files = ['program.mjs', 'program.mjs.map'];
  if (model === undefined) await bundle(join(folder, 'tasks.ts'), join(folder, 'program.mjs'));
  else for (const file of files) copyFileSync(join(model, file), join(folder, file));
  model ??= folder;
  writeFileSync(join(bin, 'node'), `#!/bin/sh\necho >> '${log}'\nexec '${process.execPath}' "$@"\n`);
  for (const path of [join(folder, 'run'), join(bin, 'node')]) chmodSync(path, 0o755);
  const { CI: _, ...inherited } = process.env;
  const env = { ...inherited, NO_COLOR: '1', PATH: `${bin}${delimiter}${inherited.PATH}` };
  const command = (name: string, args: readonly string[], further: NodeJS.ProcessEnv = {}) =>
    runFile(name, args, folder, { ...env, ...further });
  writeFileSync(log, '');
  return {
    ...{ folder, write },
    /** The environment in which each start of Node is counted. */
    env,
    nodeStarts: (): number => readFileSync(log, 'utf8').length,
    command,
    run: (argv: readonly string[], further?: NodeJS.ProcessEnv) =>
      command('node', ['program.mjs', ...argv], further),
  };
}
