import { existsSync, realpathSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { checkArguments } from '../arguments.ts';
import { type Program, usageLine } from '../command-line.ts';
import { completionTask } from '../own-tasks.ts';
import { quote } from '../shell.ts';
import type { ArgumentValues } from '../task.ts';

type ShellName = keyof typeof parts;

const parts = { bash: 'bash.sh', zsh: 'zsh.zsh', fish: 'fish.fish' } as const;

const installation: { readonly [shell in ShellName]: (command: string) => readonly string[] } = {
  bash: (command) => [
    `  ${command} > ~/.task-completion.bash`,
    "  echo 'source ~/.task-completion.bash' >> ~/.bashrc",
  ],
  zsh: (command) => [
    `  ${command} > ~/.task-completion.zsh`,
    "  echo 'source ~/.task-completion.zsh' >> ~/.zshrc   # after compinit",
  ],
  fish: (command) => [`  ${command} > ~/.config/fish/conf.d/task-completion.fish`],
};

/**
 * The output of `completion <shell>`: a script for the program with this main file, and for other clones that have
 * printed theirs. Throws UsageError for an unknown shell.
 */
export async function completionAnswer(args: ArgumentValues, { program, config }: Program): Promise<string> {
  const usage = usageLine(completionTask, program);
  const checked = await checkArguments(completionTask.args ?? {}, args, { options: {}, usage });
  const shell = checked.shell as ShellName;
  const main = realpathSync(process.argv[1] ?? '');
  await rememberProgram(main);
  const [complete = '', own = ''] = await Promise.all(
    ['complete.sh', parts[shell]].map((name) => readFile(new URL(name, import.meta.url), 'utf8')),
  );
  const name = basename(main);
  // A launcher next to the program.
  const launcher = config.launcher && `./${config.launcher}`;
  const variables: [string, string][] = [
    ['_task_runner_main', main],
    ['_task_runner_launcher', launcher === undefined ? '' : `${config.launcher}:${name}`],
    ['_task_runner_script', withoutComments(complete)],
  ];
  const head = [
    `# ${shell} completion for ${[launcher, name].filter(Boolean).join(' and ')}. To install it:`,
    ...installation[shell](`${launcher ?? program} completion ${shell}`).map((line) => `#${line}`),
    '# Tasks, options and values are always those of the moment.',
  ];
  const assignments = variables.map(([variable, value]) =>
    shell === 'fish' ? `set -g ${variable} ${fishQuote(value)}` : `${variable}=${quote(value)}`,
  );
  return `${[...head, ...assignments].join('\n')}\n${own}`;
}

/** Drops comments, which would only slow each completion down. */
function withoutComments(script: string): string {
  return script.replace(/^\s*#.*\n/gm, '').replace(/\n{2,}/g, '\n');
}

function fishQuote(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}

/**
 * Lets other clones' completion scripts complete this program too: they only start programs in this list. Removed
 * programs are dropped. Without a list, only the program's own script knows it.
 */
async function rememberProgram(main: string): Promise<void> {
  const { XDG_CACHE_HOME: configured } = process.env;
  // A relative path is ignored, as its specification says.
  const caches = configured?.startsWith('/') ? configured : join(homedir(), '.cache');
  const file = join(caches, 'task-runner', 'programs');
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const known = (await readFile(file, 'utf8').catch(() => '')).split('\n');
    const programs = [...new Set([...known, main])].filter((path) => path !== '' && existsSync(path));
    await writeFile(`${file}.${process.pid}`, programs.map((path) => `${path}\n`).join(''), { mode: 0o600 });
    await rename(`${file}.${process.pid}`, file);
  } catch {
    // The script that is being printed contains the program.
  }
}
