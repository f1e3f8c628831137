import { checkArguments } from '../arguments.ts';
import { usageLine } from '../command-line.ts';
import { mainFile } from '../quick-answer.ts';
import type { ArgumentValues } from '../task.ts';
import { type Program, rememberWords } from './answer-shell.ts';
import { completionTask } from './completion-task.ts';
import { completionScript, type ShellName } from './script.ts';

/** What `completion <shell>` prints. Throws UsageError for another shell. */
export async function completionAnswer(args: ArgumentValues, known: Program): Promise<string> {
  const usage = usageLine(completionTask, known.program);
  const { shell } = await checkArguments(completionTask.args ?? {}, args, { options: {}, usage });
  // From now on this main file is known to the scripts that are installed already.
  await rememberWords(known);
  const { program, config } = known;
  return completionScript(shell as ShellName, { main: mainFile() ?? '', launcher: config.launcher, program });
}
