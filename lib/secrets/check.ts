import { type Shell, TaskError } from '@k8s-deployment/runner';
import { shellWord } from '../ground/shell-words.ts';
import { leavesOf } from '../ground/tree.ts';
import type { Context, Target } from '../settings/context.ts';
import { noAnswer } from '../tools/tool-answer.ts';
import { developmentKeys } from './development-keys.ts';
import {
  allSecretFiles,
  extractText,
  noMap,
  parseEncrypted,
  readEncrypted,
  secretsFile,
} from './encrypted-file.ts';
import { explainSops, readSopsFailure } from './explain.ts';
import { gitContents, gitFiles, indexOfHook } from './git-contents.ts';
import { ensureHome, importCommands, importKeys } from './keyring.ts';
import { findPrivateKeys, keyMarks, longestLine, secretForms, shortestSecret } from './leaks.ts';
import { giveKey, isGiven, keySource, shownKeys } from './operational-key.ts';
import { creationRules, isAmong, keyKinds, ruleFor, rulesFile } from './recipients.ts';
import { sopsShell } from './shell.ts';
import { isPublic, openFile } from './sops.ts';

/** Options of `git grep` for the work tree and the index. */
const places = ['--untracked', '--cached'];

/** The plain commands of `checkSecrets`, for `--dry-run`; each search fails if it finds something. */
export async function checkCommands(target: Target): Promise<readonly string[]> {
  const { root } = target.environment;
  const lines: string[] = [];
  for (const file of await allSecretFiles(root)) {
    lines.push(`sops filestatus ${shellWord(file)}`);
    for (const path of (await readEncrypted(root, file)).values) {
      for (const where of places)
        lines.push(
          `! ${extractText(file, path)} | git grep ${where} --files-with-matches --fixed-strings -f -`,
        );
    }
  }
  return [
    ...importCommands(target),
    ...places.map(
      (where) =>
        `! git grep ${where} --files-with-matches -e '^-----BEGIN .*PRIVATE KEY' -- . ':!sops/development-operational.asc'`,
    ),
    ...lines,
  ];
}

/**
 * Checks all files that git has or would add: secrets files are fully encrypted, the only private key is that of
 * development, and no secret value appears elsewhere. Throws `TaskError` for findings and for whatever could not be
 * checked. Without a key it skips the values and logs that.
 */
export async function checkSecrets(context: Context): Promise<void> {
  const { root, gnupgHome } = context.environment;
  // gpg needs a home even to show keys.
  await ensureHome(gnupgHome);
  const $ = await sopsShell(context);
  const index = await indexOfHook($, process.env);
  const git = index === undefined ? $ : await sopsShell(context, { GIT_INDEX_FILE: index });
  const { values, closed, unchecked } = await openValues(context);
  const rules = await creationRules(root);
  const known = await developmentKeys(root);
  /** Described without the value. */
  const findings: string[] = [];
  const files = await gitFiles(git);
  const secretFiles = new Set(await allSecretFiles(root));
  const lacking = [rulesFile, ...secretFiles].find((file) => !files.has(file));
  if (lacking !== undefined) {
    throw noAnswer('git ls-files', `${lacking} is missing: it is ignored, or the list is incomplete`);
  }
  const wanted = ['-e', '', '--', ':(glob)environments/*/secrets/**'];
  for (const { file, place, content } of await gitContents(git, wanted)) {
    secretFiles.delete(file);
    if (ruleFor(rules, file) === undefined) findings.push(`${place}: no rule of ${rulesFile} matches it`);
    findings.push(...(await plainIn(place, content.toString())));
  }
  const texts = [...keyMarks, ...values.flatMap(({ forms }) => forms.map(({ text }) => longestLine(text)))];
  const searched = ['--fixed-strings', '-f', '-'];
  for (const { file, place, content } of await gitContents(git, searched, `${texts.join('\n')}\n`)) {
    for (const { line, what, armour } of findPrivateKeys(content.toString('latin1'))) {
      if (armour !== undefined && (await isDevelopmentKey($, armour, known))) continue;
      findings.push(`${place}:${line}: ${what}`);
    }
    for (const { owner, key, forms } of values) {
      const form = owner === file ? undefined : forms.find(({ text }) => content.includes(text));
      if (form === undefined) continue;
      const line = content.subarray(0, content.indexOf(form.text)).toString('latin1').split('\n').length;
      findings.push(`${place}:${line}: the value \`${key}\` of ${owner}, ${form.name}`);
    }
  }
  const [unread] = secretFiles;
  if (unread !== undefined) throw noAnswer('git grep', `${unread} is missing`);
  if (findings.length === 0 && unchecked !== undefined) throw unchecked;
  if (findings.length === 0) {
    const but = closed.length === 0 ? '' : `; not checked: the values of ${closed.join(', ')}`;
    return context.print(`no secret in plain text in ${files.size} files${but}`);
  }
  context.print(findings.join('\n'));
  throw new TaskError({
    what: `in plain text: ${findings[0]}${findings.length > 1 ? `, and ${findings.length - 1} more` : ''}`,
    why: 'whoever can read the repository can read it',
    advice:
      'remove or encrypt it (in the index: `git add`, `git rm --cached`), and change a value that was committed: it stays in the history',
  });
}

/** Unencrypted values, and comments, which may contain secrets too. */
async function plainIn(place: string, text: string): Promise<string[]> {
  const parsed = await parseEncrypted(text);
  if (parsed === undefined) return [`${place}: ${noMap}`];
  const { recipients, plain, plainComments } = parsed;
  if (recipients.length === 0) {
    const keys = plain.map((path) => `\`${path.join('.')}\``);
    return [`${place}: it is not encrypted by SOPS${keys.length === 0 ? '' : `: ${keys.join(', ')}`}`];
  }
  return [
    ...plain.map((path) => `${place}: the value \`${path.join('.')}\` is not encrypted`),
    ...plainComments.map((line) => `${place}:${line}: a comment that is not encrypted`),
  ];
}

/** True if every part of an armoured key is a known development key. */
async function isDevelopmentKey($: Shell, armour: string, known: readonly string[]): Promise<boolean> {
  const shown = await $({ input: `${armour}\n` })`gpg --batch --with-colons --show-keys`;
  const parts = shownKeys(shown, 'FILE').flatMap((key) => key.parts.map(({ fingerprint }) => fingerprint));
  return parts.length > 0 && parts.every((fingerprint) => isAmong(known, fingerprint));
}

/** The decrypted values; none without a key, as in a pipeline for pull requests from forks. */
async function openValues(context: Context) {
  const { name, root } = context.environment;
  const owners = await allSecretFiles(root);
  const values: { owner: string; key: string; forms: ReturnType<typeof secretForms> }[] = [];
  /** Files encrypted for keys other than the given one. */
  const closed: string[] = [];
  /** Why a file could not be checked although the given key should open it. */
  let unchecked: TaskError | undefined;
  const fail = (error: TaskError, owner: string): void => {
    context.log(`${error.what}: the values of ${owner} are not searched for`);
    unchecked ??= error;
  };
  const source = keySource(context);
  if (!(await isGiven(source)) && !(await keyKinds(root, name)).others) {
    context.log(`no key is given (${source.name} does not exist): values of secrets are not searched for`);
    context.log(`with the private half they are: ${giveKey}`);
    return { values, closed: owners, unchecked };
  }
  try {
    await importKeys(context);
  } catch (error) {
    if (!(error instanceof TaskError)) throw error;
    fail(error, 'all files');
    return { values, closed, unchecked };
  }
  const $ = await sopsShell(context);
  for (const owner of owners) {
    const opened = await openFile($, root, owner);
    if (opened.failure === undefined) {
      for (const { path, value } of leavesOf(opened.values)) {
        const text = String(value);
        if (value === null || text.length < shortestSecret || isPublic(text, owner)) continue;
        context.secret(text);
        values.push({ owner, key: path.join('.'), forms: secretForms(text) });
      }
    } else if (readSopsFailure(opened.failure).kind !== 'no key' || owner.startsWith(secretsFile(name, ''))) {
      // Other environments may have their own keys, but this one's key was given.
      fail(await explainSops(root, owner, opened.failure), owner);
    } else {
      context.log(`the operational key does not open ${owner}: its values are not searched for`);
      closed.push(owner);
    }
  }
  return { values, closed, unchecked };
}
