import { dirname } from 'node:path';
import { type CommandOutput, exitCodes, type Shell, TaskError } from '@k8s-deployment/runner';
import { type Ended, reasonOf, signalOf, toolFailure } from '../tools/tool-answer.ts';

/**
 * The index of the git hook that started this run, since `git commit FILE` uses a temporary one. Undefined for the
 * repository's usual index, and for another repository's, whose hook may also call this one.
 */
export async function indexOfHook($: Shell, variables: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { GIT_INDEX_FILE: index } = variables;
  if (index === undefined) return undefined;
  const folder = (await bytesOf($, '', 'rev-parse', '--absolute-git-dir')).toString().replace(/\n$/, '');
  return dirname(index) === folder ? index : undefined;
}

/** The files that git has or would add in the working folder of `$`. */
export async function gitFiles($: Shell): Promise<Set<string>> {
  const names = await bytesOf($, '', 'ls-files', '-z', '--cached', '--others', '--exclude-standard');
  // A folder here is another repository.
  const files = names
    .toString('latin1')
    .split('\0')
    .slice(0, -1)
    .filter((name) => !name.endsWith('/'));
  return new Set(files.map(readable));
}

/**
 * The versions in the work tree and the index, if they differ, of each file that `git grep` finds by `wanted`; `input`
 * is its stdin. `place` is for messages.
 */
export async function gitContents($: Shell, wanted: readonly string[], input = '') {
  const inTree = await search($, '--untracked', wanted, input);
  const inIndex = await search($, '--cached', wanted, input);
  for (const [name, content] of inIndex) if (inTree.get(name) === content) inIndex.delete(name);
  return [inTree, inIndex].flatMap((found) =>
    [...found].map(([name, content]) => ({
      file: readable(name),
      place: `${readable(name)}${found === inIndex ? ' (in the index)' : ''}`,
      content: Buffer.from(content, 'latin1'),
    })),
  );
}

/** Content by name, both as latin1, since they may not be UTF-8. */
async function search($: Shell, place: string, wanted: readonly string[], input: string) {
  // Against the user's configuration. The context is the rest of the file, so that nothing has to be read again.
  const off = ['color', 'line-number', 'column', 'full-name', 'recurse-submodules'].map(
    (name) => `--no-${name}`,
  );
  const fixed = [...off, '--text', '-z', '--context=999999999'];
  const found = await bytesOf($, input, 'grep', place, ...fixed, ...wanted);
  const contents = new Map<string, string>();
  for (const [, name = '', line] of found.toString('latin1').matchAll(/(?:--\n)?([^\0]+)\0([^\n]*\n)/g))
    contents.set(name, (contents.get(name) ?? '') + line);
  return contents;
}

/** git's output as bytes; the shell returns text. */
async function bytesOf($: Shell, input: string, ...words: readonly string[]): Promise<Buffer> {
  const command = $({ input, quiet: true, nothrow: true })`git ${words}`;
  const chunks: Buffer[] = [];
  command.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended: CommandOutput = await command;
  // `git grep` ends with 1 if it finds nothing, and may end with 0 or 1 if it could not read a file.
  const isDone = ended.exitCode === 0 || (words[0] === 'grep' && ended.exitCode === 1);
  if (!isDone || /^error: /m.test(ended.stderr)) throw gitFailure(`git ${words[0]}`, ended);
  return Buffer.concat(chunks);
}

/** The error of a failed git `command`, with the command that git suggests. */
export function gitFailure(command: string, output: Ended): TaskError {
  if (signalOf(output) !== undefined || output.exitCode === exitCodes.missingTool)
    return toolFailure(command, output);
  return new TaskError({
    what: 'git cannot read the files of the repository',
    why:
      (/^fatal: (.+)$/m.exec(output.stderr) ?? /^error: (.+)$/m.exec(output.stderr))?.[1] ?? reasonOf(output),
    advice:
      /^\s+(git config .+)$/m.exec(output.stderr)?.[1] ??
      'run `git status` and `git fsck` in a clone of the repository to see more',
  });
}

/** A printable name: `caf\xe9.pem` if it is not UTF-8. */
function readable(name: string): string {
  const path = Buffer.from(name, 'latin1');
  const text = path.toString();
  if (Buffer.from(text).equals(path)) return text;
  return name.replace(/[^ -~]/g, (sign) => `\\x${sign.charCodeAt(0).toString(16)}`);
}
