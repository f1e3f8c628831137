import { spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundled.ts';
import { type Ended, ended } from './ended.ts';
import { temporaryFolder } from './folder.ts';
import { within } from './rig.ts';

const project = fileURLToPath(new URL('../../../../', import.meta.url));

const mainFile = `
import { run } from './all.ts';

process.exitCode = await run(process.argv.slice(2));
`;

const tasksFile = `
import { readFileSync } from 'node:fs';
import { runCli, task } from '${project}lib/runner/runner.ts';

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
    tier: {
      type: 'choice',
      choices: (options) => ['core-' + options.env, 'apps-' + options.env],
      optional: true,
      short: 't',
      description: 'the tier',
    },
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

export const run = (argv: string[]) =>
  runCli([install, label, hidden], argv, {
    program: './run',
    version: '1.2.3',
    launcher: 'run',
    dotenv: here + '/.env',
    options: {
      env: {
        type: 'string',
        short: 'e',
        env: 'PROGRAM_ENV',
        default: 'dev',
        suggestions: ['dev', 'prod'],
        description: 'the environment',
      },
    },
  });
`;

/** A small program of tasks in a folder of its own. */
export type Program = {
  readonly folder: string;
  readonly main: string;
  /** The environment in which each start of Node is counted. */
  readonly env: NodeJS.ProcessEnv;
  /** How often Node was started by whoever has that environment. */
  readonly nodeStarts: () => number;
  readonly write: (name: string, text: string) => void;
  readonly run: (argv: readonly string[], env?: NodeJS.ProcessEnv) => Promise<Ended>;
  /** Any command, in its folder. */
  readonly command: (command: string, args: readonly string[], env?: NodeJS.ProcessEnv) => Promise<Ended>;
  readonly remove: () => void;
};

/** Folder of one that was bundled: all are the same. */
let model: string | undefined;

export async function makeProgram(): Promise<Program> {
  const base = temporaryFolder();
  const folder = join(base, 'a program');
  const bin = join(base, 'bin');
  const log = join(base, 'starts');
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  for (const path of [folder, bin, join(folder, 'environments')]) mkdirSync(path);
  symlinkSync(join(project, 'node_modules'), join(folder, 'node_modules'));
  write('package.json', '{"type": "module"}\n');
  write('tasks.ts', mainFile);
  write('all.ts', tasksFile);
  write('apps.txt', 'app1\napp2\n');
  write('run', '#!/bin/sh\ncd "$(dirname "$0")" && exec node program.mjs "$@"\n');
  const files = ['program.mjs', 'program.mjs.map'];
  if (model === undefined) {
    await bundle(join(folder, 'tasks.ts'), join(folder, 'program.mjs'));
    const kept = temporaryFolder();
    for (const file of files) copyFileSync(join(folder, file), join(kept, file));
    model = kept;
  } else for (const file of files) copyFileSync(join(model, file), join(folder, file));
  writeFileSync(join(bin, 'node'), `#!/bin/sh\necho node >> '${log}'\nexec '${process.execPath}' "$@"\n`);
  for (const path of [join(folder, 'run'), join(bin, 'node')]) chmodSync(path, 0o755);
  const { CI: _, ...inherited } = process.env;
  const env = {
    ...inherited,
    NO_COLOR: '1',
    PATH: `${bin}${delimiter}${inherited.PATH}`,
  };
  const command: Program['command'] = (name, args, further = {}) =>
    within(
      ended(
        spawn(name, args, { cwd: folder, env: { ...env, ...further }, stdio: ['ignore', 'pipe', 'pipe'] }),
      ),
      `the end of ${[name, ...args].join(' ')}`,
    );
  const linesOf = (file: string): number =>
    existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0;
  return {
    ...{ folder, main: join(folder, 'tasks.ts'), env, write, command },
    nodeStarts: () => linesOf(log),
    run: (argv, further) => command('node', ['program.mjs', ...argv], further),
    remove: () => rmSync(base, { recursive: true, force: true }),
  };
}
