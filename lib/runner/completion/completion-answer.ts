import { checkArguments } from '../arguments.ts';
import { usageLine } from '../command-line.ts';
import type { ArgumentValues } from '../task.ts';
import type { Program } from './candidates.ts';
import { completionTask } from './completion-task.ts';
import { mainFile, rememberProgram } from './known-programs.ts';
import { completionScript, type ShellName } from './script.ts';

/** What `completion <shell>` prints. Throws UsageError for another shell. */
export async function completionAnswer(args: ArgumentValues, { program, config }: Program): Promise<string> {
  const usage = usageLine(completionTask, program);
  const { shell } = await checkArguments(completionTask.args ?? {}, args, { options: {}, usage });
  const main = mainFile();
  await rememberProgram(main);
  return completionScript(shell as ShellName, { main, launcher: config.launcher, program });
}
