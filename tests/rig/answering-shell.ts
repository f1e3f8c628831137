import { type CommandOptions, type CommandOutput, type Shell, TaskError } from '@k8s-deployment/runner';

type Answer = Partial<Pick<CommandOutput, 'stdout' | 'stderr' | 'exitCode' | 'signal'>>;

/** A shell without processes: `answer` gets each command as one text, and gives its output. */
export function answeringShell(answer: (command: string) => Answer): Shell {
  const run = async (command: string, options: CommandOptions): Promise<CommandOutput> => {
    const output = { stdout: '', stderr: '', exitCode: 0, signal: null, ...answer(command) };
    if (output.exitCode === 0 || options.nothrow) return output as CommandOutput;
    throw new TaskError({ what: `\`${command}\` failed`, why: output.stderr, exitCode: output.exitCode });
  };
  const text = (pieces: readonly string[], values: readonly unknown[]): string =>
    String.raw({ raw: pieces }, ...values.map((value) => [value].flat().join(' ')));
  const shellWith =
    (options: CommandOptions) =>
    (first: TemplateStringsArray | CommandOptions, ...values: readonly unknown[]): unknown =>
      Array.isArray(first)
        ? run(text(first, values), options)
        : shellWith({ ...options, ...(first as CommandOptions) });
  return shellWith({}) as unknown as Shell;
}
