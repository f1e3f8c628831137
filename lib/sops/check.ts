import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Environment, shellOf } from '../environment.ts';
import { root } from '../project.ts';
import { type Shell, type TaskContext, TaskError } from '../runner/runner.ts';
import { shellWord } from '../shell-words.ts';
import { explainSops, hasNoKey, importCommands, importKeys } from '../sops.ts';
import { creationRules, ruleFor, rulesFile } from './creation-rules.ts';
import { developmentKeys, isAmong } from './development-keys.ts';
import { allSecretFiles, leavesOf, parseEncrypted, readEncrypted } from './encrypted-file.ts';
import { findPrivateKeys } from './private-keys.ts';
import { secretForms, shortestSecret } from './secret-forms.ts';

/** One secret in plain, told without showing it. */
type Finding = string;

/** The plain commands, for `--dry-run`. */
export async function checkCommands(environment: Environment): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const file of await allSecretFiles()) {
    lines.push(`sops filestatus ${file}`);
    for (const path of (await readEncrypted(file)).values) {
      const place = path.map((key) => (/^\d+$/.test(key) ? `[${key}]` : `["${key}"]`)).join('');
      lines.push(
        `sops decrypt --extract ${shellWord(place)} ${file} | git grep --untracked --files-with-matches --fixed-strings -f -`,
      );
    }
  }
  return [
    ...(await importCommands(environment)),
    "git grep --untracked --files-with-matches -e '^-----BEGIN .*PRIVATE KEY' -- . ':!sops/development-operational.asc'",
    ...lines,
  ];
}

/**
 * Looks through everything that git has, or would take: secrets files have to be encrypted whole, there is no private key but
 * that of development, and no value of a secrets file stands anywhere else. Throws `TaskError` when there is something, and for
 * a damaged file, since nobody can look for its values.
 */
export async function checkSecrets(environment: Environment, context: TaskContext): Promise<void> {
  const $ = await shellOf(context);
  const files = await filesOfGit($);
  const { values, damaged } = await openValues(environment, context);
  const rules = await creationRules();
  const known = await developmentKeys();
  const findings: Finding[] = [];
  for (const file of files) {
    // A file that git still lists but that was removed meanwhile.
    const content = await readFile(join(root, file)).catch(() => undefined);
    if (content === undefined) continue;
    if (/^environments\/[^/]+\/secrets\//.test(file)) {
      if (ruleFor(rules, file) === undefined) findings.push(`${file}: no rule of ${rulesFile} is for it`);
      findings.push(...(await plainIn(file, content.toString())));
    }
    for (const { line, what, armour } of findPrivateKeys(content.toString('latin1'))) {
      if (armour !== undefined && (await isDevelopmentKey($, armour, known))) continue;
      findings.push(`${file}:${line}: ${what}`);
    }
    for (const { owner, key, forms } of values) {
      const form = owner === file ? undefined : forms.find(({ text }) => content.includes(text));
      if (form === undefined) continue;
      const line = content.subarray(0, content.indexOf(form.text)).toString('latin1').split('\n').length;
      findings.push(`${file}:${line}: the value \`${key}\` of ${owner}, ${form.name}`);
    }
  }
  if (findings.length === 0 && damaged !== undefined) throw damaged;
  if (findings.length === 0) return context.print(`nothing in plain among ${files.length} files`);
  context.print(findings.join('\n'));
  throw new TaskError({
    what: `${findings.length} in plain: ${findings[0]}${findings.length > 1 ? ', …' : ''}`,
    why: 'whoever can read the repository can read it',
    advice: 'take it out, and change what was committed before: it stays in the history',
  });
}

async function filesOfGit($: Shell): Promise<string[]> {
  const listed = await $({
    quiet: true,
    nothrow: true,
  })`git ls-files -z --cached --others --exclude-standard`;
  if (listed.exitCode === 0)
    return [...new Set(listed.stdout.split('\0'))].filter((file) => file !== '').sort();
  throw new TaskError({
    what: 'git does not say which files are committed',
    why: listed.stderr.trim().split('\n').at(-1),
    advice: 'run it in a clone of the repository',
  });
}

/** Values that are not encrypted, and comments, which may hold one as well. */
async function plainIn(file: string, text: string): Promise<Finding[]> {
  const parsed = await parseEncrypted(text, file).catch((error: unknown) => error);
  if (parsed instanceof TaskError) return [`${file}: ${parsed.why}`];
  const { recipients, plain, plainComments } = parsed as Awaited<ReturnType<typeof parseEncrypted>>;
  return [
    ...(recipients.length === 0 ? [`${file}: it is not encrypted by SOPS`] : []),
    ...plain.map((path) => `${file}: the value \`${path.join('.')}\` is not encrypted`),
    ...plainComments.map((line) => `${file}:${line}: a comment that is not encrypted`),
  ];
}

/** Whether every part of an armoured key is one of those that protect nothing. */
async function isDevelopmentKey($: Shell, armour: string, known: readonly string[]): Promise<boolean> {
  const shown = await $({
    quiet: true,
    nothrow: true,
    input: `${armour}\n`,
  })`gpg --batch --with-colons --show-keys`;
  const parts = [...shown.stdout.matchAll(/^fpr:+([0-9A-F]{40,}):/gm)].map(
    ([, fingerprint]) => fingerprint ?? '',
  );
  return parts.length > 0 && parts.every((fingerprint) => isAmong(known, fingerprint));
}

type OpenValue = {
  readonly owner: string;
  readonly key: string;
  readonly forms: ReturnType<typeof secretForms>;
};

/** The decrypted values, as far as there is a key for them; the log names the files that stay closed, or are damaged. */
async function openValues(
  environment: Environment,
  context: TaskContext,
): Promise<{ readonly values: readonly OpenValue[]; readonly damaged: TaskError | undefined }> {
  const $ = await shellOf(context);
  // A pipeline for changes of strangers has no key, and the rest of the check is worth it.
  const missing = await importKeys(environment, context).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (missing instanceof TaskError) context.log(`${missing.what}: ${missing.why}`);
  else if (missing !== undefined) throw missing;
  const values: OpenValue[] = [];
  let damaged: TaskError | undefined;
  for (const owner of await allSecretFiles()) {
    const opened = await $({
      quiet: true,
      nothrow: true,
    })`sops decrypt --output-type json ${join(root, owner)}`;
    if (opened.exitCode !== 0 && !hasNoKey(opened.stderr)) {
      const error = await explainSops(owner, '', opened.stderr);
      context.log(`${error.what}: its values are not looked for`);
      damaged ??= error;
      continue;
    }
    if (opened.exitCode !== 0) {
      context.log(`no key here opens ${owner}: its values are not looked for`);
      continue;
    }
    for (const { path, value } of leavesOf(JSON.parse(opened.stdout))) {
      const text = String(value);
      if (value === null || text.length < shortestSecret) continue;
      context.secret(text);
      values.push({ owner, key: path.join('.'), forms: secretForms(text) });
    }
  }
  return { values, damaged };
}
