import { createHash } from 'node:crypto';
import { lstat, readFile, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type CommandOutput, type Shell, TaskError } from '@k8s-deployment/runner';
import { ifThere } from '../ground/if-there.ts';
import { type Ended, reasonOf, signalOf, toolFailure } from '../tools/tool-answer.ts';

/** A version of a file that git has or would add. */
export type GitContent = {
  readonly file: string;
  /** True if the work tree has a different version or none. */
  readonly inIndexOnly: boolean;
  /** True for a symbolic link, whose content is its target, as in git. */
  readonly isLink: boolean;
  readonly content: Buffer;
};

type Staged = { readonly file: string; readonly id: string; readonly isLink: boolean };

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

/** All versions of all files below `folder`, the working folder of `$`. */
export async function* gitContents($: Shell, folder: string): AsyncGenerator<GitContent> {
  const elsewhere: Staged[] = [];
  for (const { file, path, staged } of await listed($)) {
    const found = await inWorkTree(Buffer.concat([Buffer.from(`${folder}/`), path]), join(folder, file));
    if (found !== undefined) yield { file, inIndexOnly: false, ...found };
    else if (staged.length === 0)
      throw unchecked(file, 'git lists it, but it does not exist', 'run it again');
    elsewhere.push(...staged.filter(({ id }) => found === undefined || id !== idOf(found.content, id)));
  }
  yield* contentsInIndex($, elsewhere);
}

/**
 * All files in the index and the work tree, with their versions in the index: none for an untracked file, several in
 * a merge. Names are read as latin1, since they may not be UTF-8.
 */
async function listed($: Shell) {
  const byPath = new Map<string, { file: string; path: Buffer; staged: Staged[] }>();
  const entry = (name: string) => {
    const path = Buffer.from(name, 'latin1');
    const found = byPath.get(name) ?? { file: readable(path), path, staged: [] };
    byPath.set(name, found);
    return found;
  };
  const records = async (...words: string[]): Promise<string[]> =>
    (await bytesOf($, '', 'ls-files', '-z', ...words)).toString('latin1').split('\0').slice(0, -1);
  for (const record of await records('--stage')) {
    const [, mode, id = '', name = ''] = /^(\d+) (\w+) \d\t(.*)$/s.exec(record) ?? [];
    // A submodule: only the id of a commit.
    if (mode === '160000') continue;
    const { file, staged } = entry(name);
    staged.push({ file, id, isLink: mode === '120000' });
  }
  // A folder here is another repository.
  for (const name of await records('--others', '--exclude-standard')) if (!name.endsWith('/')) entry(name);
  return byPath.values();
}

/** The content of a file or link; undefined for anything else. */
async function inWorkTree(
  path: Buffer,
  name: string,
): Promise<Pick<GitContent, 'content' | 'isLink'> | undefined> {
  const found = await ifThere(lstat(path).catch(noFolder), name);
  const isLink = found?.isSymbolicLink() ?? false;
  if (!isLink && !found?.isFile()) return undefined;
  const content = await ifThere(isLink ? readlink(path, 'buffer') : readFile(path), name);
  return content && { content, isLink };
}

/** If a file replaced the folder, the file in it does not exist either. */
function noFolder(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOTDIR') throw error;
}

async function* contentsInIndex($: Shell, wanted: readonly Staged[]): AsyncGenerator<GitContent> {
  if (wanted.length === 0) return;
  const answer = await bytesOf($, wanted.map(({ id }) => `${id}\n`).join(''), 'cat-file', '--batch');
  let at = 0;
  for (const { file, isLink } of wanted) {
    const end = answer.indexOf('\n', at);
    // `<id> missing` means that the content was never fetched.
    const size = / blob (\d+)$/.exec(answer.subarray(at, end).toString())?.[1];
    if (size === undefined)
      throw unchecked(file, 'git lacks its content', 'see what else is missing: git fsck');
    at = end + 1 + Number(size) + 1;
    yield { file, inIndexOnly: true, isLink, content: answer.subarray(end + 1, at - 1) };
  }
}

/** git's output as bytes; the shell returns text. */
async function bytesOf($: Shell, input: string, ...words: readonly string[]): Promise<Buffer> {
  const command = $({ input, quiet: true, nothrow: true })`git ${words}`;
  const chunks: Buffer[] = [];
  command.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended: CommandOutput = await command;
  if (ended.exitCode !== 0) throw gitFailure(ended);
  return Buffer.concat(chunks);
}

/** The error for a failed git, with the command that git suggests. */
export function gitFailure(output: Ended): TaskError {
  if (signalOf(output) !== undefined) return toolFailure('git', output);
  return new TaskError({
    what: 'git cannot list the files of the repository',
    why: /^fatal: (.+)$/m.exec(output.stderr)?.[1] ?? reasonOf(output),
    advice:
      /^\s+(git config .+)$/m.exec(output.stderr)?.[1] ??
      'run `git status` in a clone of the repository to see more',
  });
}

/** The id that git gives to a content; the other id's length tells the hash function. */
function idOf(content: Buffer, { length }: string): string {
  const hash = createHash(length === 40 ? 'sha1' : 'sha256');
  return hash.update(`blob ${content.length}\0`).update(content).digest('hex');
}

const unchecked = (file: string, why: string, advice: string): TaskError =>
  new TaskError({ what: `${file} could not be checked`, why, advice });

/** A printable name: `caf\xe9.pem` if it is not UTF-8. */
function readable(path: Buffer): string {
  const text = path.toString();
  if (Buffer.from(text).equals(path)) return text;
  return path.toString('latin1').replace(/[^ -~]/g, (sign) => `\\x${sign.charCodeAt(0).toString(16)}`);
}
