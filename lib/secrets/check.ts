import { join } from 'node:path';
import { root } from '../ground/project.ts';
import { shellWord } from '../ground/shell-words.ts';
import { type Shell, TaskError } from '../runner/runner.ts';
import type { EnvironmentContext } from '../settings/context.ts';
import type { Environment } from '../settings/environment.ts';
import { noAnswer } from '../tools/tool-answer.ts';
import { creationRules, ruleFor, rulesFile } from './creation-rules.ts';
import { developmentKeys, isAmong } from './development-keys.ts';
import {
  allSecretFiles,
  parseEncrypted,
  readDecrypted,
  readEncrypted,
  secretsFile,
} from './encrypted-file.ts';
import { explainSops, readSopsFailure } from './explain.ts';
import { gitContents, indexOfHook } from './git-contents.ts';
import { isGiven, keySource, shownKeys } from './operational-key.ts';
import { findPrivateKeys, withoutZeros } from './private-keys.ts';
import { secretForms, shortestSecret } from './secret-forms.ts';
import { sopsShell } from './shell.ts';
import { ensureHome, importCommands, importKeys } from './sops.ts';

/** One secret in plain, told without showing it. */
type Finding = string;

/** Where git looks: in the work tree, and in the index. */
const places = ['--untracked', '--cached'];

/** The plain commands, for `--dry-run`. */
export async function checkCommands(environment: Environment): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const file of await allSecretFiles()) {
    lines.push(`sops filestatus ${shellWord(file)}`);
    for (const path of (await readEncrypted(file)).values) {
      const place = path.map((key) => (/^\d+$/.test(key) ? `[${key}]` : `["${key}"]`)).join('');
      for (const where of places)
        lines.push(
          `sops decrypt --extract ${shellWord(place)} ${shellWord(file)} | git grep ${where} --files-with-matches --fixed-strings -f -`,
        );
    }
  }
  return [
    ...(await importCommands(environment)),
    ...places.map(
      (where) =>
        `git grep ${where} --files-with-matches -e '^-----BEGIN .*PRIVATE KEY' -- . ':!sops/development-operational.asc'`,
    ),
    ...lines,
  ];
}

/**
 * Looks through everything that git has, or would take: secrets files have to be encrypted whole, there is no private key but
 * that of development, and no value of a secrets file stands anywhere else. Throws `TaskError` when there is something, and for
 * whatever could not be looked at. Only where no key is given, values are left out, which is said.
 */
export async function checkSecrets(context: EnvironmentContext): Promise<void> {
  const { environment } = context;
  // gpg wants one, also to show keys.
  await ensureHome(environment.gnupgHome);
  const $ = await sopsShell(context);
  const index = await indexOfHook($, process.env);
  const git = index === undefined ? $ : await sopsShell(context, { GIT_INDEX_FILE: index });
  const { values, closed, unchecked } = await openValues(context);
  const rules = await creationRules();
  const known = await developmentKeys();
  const findings: Finding[] = [];
  const files = new Set<string>();
  for await (const { file, inIndexOnly, isLink, content: found } of gitContents(git, root)) {
    files.add(file);
    const place = inIndexOnly ? `${file} (in the index)` : file;
    const content = withoutZeros(found);
    if (!isLink && /^environments\/[^/]+\/secrets\//.test(file)) {
      if (ruleFor(rules, file) === undefined) findings.push(`${place}: no rule of ${rulesFile} is for it`);
      findings.push(...(await plainIn(place, found.toString())));
    }
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
  const lacking = [rulesFile, ...(await allSecretFiles())].find((file) => !files.has(file));
  if (lacking !== undefined) {
    throw noAnswer('git ls-files', `${lacking} is not in it: it is ignored, or the list is not whole`);
  }
  if (findings.length === 0 && unchecked !== undefined) throw unchecked;
  if (findings.length === 0) {
    const but = closed.length === 0 ? '' : `; not looked for: the values of ${closed.join(', ')}`;
    return context.print(`nothing in plain among ${files.size} files${but}`);
  }
  context.print(findings.join('\n'));
  throw new TaskError({
    what: `${findings.length} in plain: ${findings[0]}${findings.length > 1 ? ', …' : ''}`,
    why: 'whoever can read the repository can read it',
    advice:
      'take it out (of the index: `git add`, `git rm --cached`), and change what was committed before: it stays in the history',
  });
}

/** Values that are not encrypted, and comments, which may hold one as well. */
async function plainIn(place: string, text: string): Promise<Finding[]> {
  const parsed = await parseEncrypted(text, place).catch((error: unknown) => error);
  if (parsed instanceof TaskError) return [`${place}: ${parsed.why}`];
  const { recipients, plain, plainComments } = parsed as Awaited<ReturnType<typeof parseEncrypted>>;
  return [
    ...(recipients.length === 0 ? [`${place}: it is not encrypted by SOPS`] : []),
    ...plain.map((path) => `${place}: the value \`${path.join('.')}\` is not encrypted`),
    ...plainComments.map((line) => `${place}:${line}: a comment that is not encrypted`),
  ];
}

/** Whether every part of an armoured key is one of those that protect nothing. */
async function isDevelopmentKey($: Shell, armour: string, known: readonly string[]): Promise<boolean> {
  const shown = await $({ input: `${armour}\n` })`gpg --batch --with-colons --show-keys`;
  const parts = shownKeys(shown, 'FILE').flatMap((key) => key.parts.map(({ fingerprint }) => fingerprint));
  return parts.length > 0 && parts.every((fingerprint) => isAmong(known, fingerprint));
}

type OpenValue = {
  readonly owner: string;
  readonly key: string;
  readonly forms: ReturnType<typeof secretForms>;
};

type Opened = {
  readonly values: readonly OpenValue[];
  /** Files of other keys than the one that is given. */
  readonly closed: readonly string[];
  /** Why something that the given key should open could not be looked at. */
  readonly unchecked: TaskError | undefined;
};

/** The decrypted values. A pipeline for changes of strangers has no key, and the rest of the check is worth it. */
async function openValues(context: EnvironmentContext): Promise<Opened> {
  const { environment } = context;
  const $ = await sopsShell(context);
  const source = await keySource(environment);
  const owners = await allSecretFiles();
  if (!(await isGiven(source))) {
    context.log(`no key is given (there is no ${source.name}): the values of no file are looked for`);
    return { values: [], closed: owners, unchecked: undefined };
  }
  const values: OpenValue[] = [];
  const closed: string[] = [];
  let unchecked: TaskError | undefined;
  const fail = (error: TaskError, owner: string): void => {
    context.log(`${error.what}: the values of ${owner} are not looked for`);
    unchecked ??= error;
  };
  try {
    await importKeys(context);
  } catch (error) {
    if (!(error instanceof TaskError)) throw error;
    fail(error, 'all files');
    return { values, closed, unchecked };
  }
  const own = secretsFile(environment.name, '');
  for (const owner of owners) {
    const opened = await $`sops decrypt --output-type json ${join(root, owner)}`;
    if (opened.exitCode !== 0) {
      // Other environments may have keys of their own; this one was named with its key.
      if (readSopsFailure(opened).kind !== 'no key' || owner.startsWith(own)) {
        fail(await explainSops(owner, '', opened), owner);
        continue;
      }
      context.log(`the given key is not for ${owner}: its values are not looked for`);
      closed.push(owner);
      continue;
    }
    for (const { path, value } of await readDecrypted(owner, opened)) {
      const text = String(value);
      if (value === null || text.length < shortestSecret) continue;
      context.secret(text);
      values.push({ owner, key: path.join('.'), forms: secretForms(text) });
    }
  }
  return { values, closed, unchecked };
}
