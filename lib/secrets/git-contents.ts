import { createHash } from 'node:crypto';
import { lstat, readFile, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ifThere } from '../ground/if-there.ts';
import { type CommandOutput, type Shell, TaskError } from '../runner/runner.ts';
import { type Ended, reasonOf, signalOf, toolFailure } from '../tools/tool-answer.ts';

/** One version of a file that git has, or would take. */
export type GitContent = {
  readonly file: string;
  /** The index has it, and the work tree has another version or none. */
  readonly inIndexOnly: boolean;
  /** A symbolic link: the content is its target's path, as git stores it. */
  readonly isLink: boolean;
  readonly content: Buffer;
};

type Listed = {
  readonly file: string;
  readonly path: Buffer;
  /** Its versions in the index: none of an untracked file, several in a merge. */
  readonly staged: Staged[];
};

type Staged = { readonly file: string; readonly id: string; readonly isLink: boolean };

/**
 * The index of the hook that this run is called by: `git commit FILE` makes one for what it commits. Undefined for the
 * repository's usual index, and for the index of another repository, whose hook may call this one too.
 */
export async function indexOfHook($: Shell, variables: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { GIT_INDEX_FILE: index } = variables;
  if (index === undefined) return undefined;
  const folder = (await bytesOf($, '', 'rev-parse', '--absolute-git-dir')).toString().replace(/\n$/, '');
  return dirname(index) === folder ? index : undefined;
}

/** Every version of every file below the folder in which `$` works; of a link its path, as git keeps it. */
export async function* gitContents($: Shell, folder: string): AsyncGenerator<GitContent> {
  const elsewhere: Staged[] = [];
  for (const { file, path, staged } of await listed($)) {
    const found = await inWorkTree(Buffer.concat([Buffer.from(`${folder}/`), path]), join(folder, file));
    if (found !== undefined) yield { file, inIndexOnly: false, ...found };
    else if (staged.length === 0)
      throw notLookedAt(file, 'git lists it, and there is no such file', 'run it again');
    elsewhere.push(...staged.filter(({ id }) => found === undefined || id !== idOf(found.content, id)));
  }
  yield* contentsInIndex($, elsewhere);
}

/** Names are bytes, which need not be UTF-8: latin1 keeps them as they are. */
async function listed($: Shell): Promise<Iterable<Listed>> {
  const byPath = new Map<string, Listed>();
  const entry = (name: string): Listed => {
    const path = Buffer.from(name, 'latin1');
    const found = byPath.get(name) ?? { file: readable(path), path, staged: [] };
    byPath.set(name, found);
    return found;
  };
  const records = async (...words: string[]): Promise<string[]> =>
    (await bytesOf($, '', 'ls-files', '-z', ...words)).toString('latin1').split('\0').slice(0, -1);
  for (const record of await records('--stage')) {
    const [, mode, id = '', name = ''] = /^(\d+) (\w+) \d\t(.*)$/s.exec(record) ?? [];
    // Of a submodule there is only the id of a commit.
    if (mode === '160000') continue;
    const { file, staged } = entry(name);
    staged.push({ file, id, isLink: mode === '120000' });
  }
  // A folder is a repository of its own.
  for (const name of await records('--others', '--exclude-standard')) if (!name.endsWith('/')) entry(name);
  return byPath.values();
}

/** Undefined for what is no file any more. */
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

/** A file in place of the folder: then the file in it is gone as well. */
function noFolder(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOTDIR') throw error;
}

async function* contentsInIndex($: Shell, wanted: readonly Staged[]): AsyncGenerator<GitContent> {
  if (wanted.length === 0) return;
  const answer = await bytesOf($, wanted.map(({ id }) => `${id}\n`).join(''), 'cat-file', '--batch');
  let at = 0;
  for (const { file, isLink } of wanted) {
    const end = answer.indexOf('\n', at);
    // `<id> missing` for one that was never fetched.
    const size = / blob (\d+)$/.exec(answer.subarray(at, end).toString())?.[1];
    if (size === undefined)
      throw notLookedAt(file, 'git lacks its content', 'see what else is missing: git fsck');
    at = end + 1 + Number(size) + 1;
    yield { file, inIndexOnly: true, isLink, content: answer.subarray(end + 1, at - 1) };
  }
}

/** What git prints; the shell gives it as text. */
async function bytesOf($: Shell, input: string, ...words: readonly string[]): Promise<Buffer> {
  const command = $({ input, quiet: true, nothrow: true })`git ${words}`;
  const chunks: Buffer[] = [];
  command.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended: CommandOutput = await command;
  if (ended.exitCode !== 0) throw gitFailure(ended);
  return Buffer.concat(chunks);
}

/** The error for a git that gives no answer; its last line is none of the reason when it tells a command after it. */
export function gitFailure(output: Ended): TaskError {
  if (signalOf(output) !== undefined) return toolFailure('git', output);
  return new TaskError({
    what: 'git does not say which files are committed',
    why: /^fatal: (.+)$/m.exec(output.stderr)?.[1] ?? reasonOf(output),
    advice:
      /^\s+(git config .+)$/m.exec(output.stderr)?.[1] ??
      'run `git status` in a clone of the repository to see more',
  });
}

/** The id that git gives to a content, by the hash that made the other id. */
function idOf(content: Buffer, { length }: string): string {
  const hash = createHash(length === 40 ? 'sha1' : 'sha256');
  return hash.update(`blob ${content.length}\0`).update(content).digest('hex');
}

const notLookedAt = (file: string, why: string, advice: string): TaskError =>
  new TaskError({ what: `${file} could not be looked at`, why, advice });

/** A name to show: `caf\xe9.pem` for one that is not UTF-8. */
function readable(path: Buffer): string {
  const text = path.toString();
  if (Buffer.from(text).equals(path)) return text;
  return path.toString('latin1').replace(/[^ -~]/g, (sign) => `\\x${sign.charCodeAt(0).toString(16)}`);
}
