import { realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
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

/** The output of `completion <shell>`: a script for this main file. Throws UsageError for an unknown shell. */
export async function completionAnswer(args: ArgumentValues, { program, config }: Program): Promise<string> {
  const usage = usageLine(completionTask, program);
  const checked = await checkArguments(completionTask.args ?? {}, args, { options: {}, usage });
  const shell = checked.shell as ShellName;
  const main = realpathSync(process.argv[1] ?? '');
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
    '# Another clone has its own script: append it (>>).',
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
