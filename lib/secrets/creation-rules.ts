import { TaskError } from '@k8s-deployment/runner';
import { readStrictYaml } from '../ground/strict-yaml.ts';
import { readNeeded, unreadable } from './how-to-restore.ts';
import { isFingerprint, recipientsIn } from './recipients.ts';

/** A rule of `.sops.yaml`: the recipients of new files that match the pattern. */
export type CreationRule = { readonly pattern: string; readonly recipients: readonly string[] };

export const rulesFile = '.sops.yaml';

type Written = { readonly path_regex?: unknown };

/** The rules in order. Throws `TaskError` if they are unreadable or a pattern means something else to sops. */
export async function creationRules(root: string): Promise<readonly CreationRule[]> {
  const text = await readNeeded(root, rulesFile);
  const content = (await readStrictYaml(text, rulesFile)).value as { creation_rules?: unknown } | null;
  const rules = content?.creation_rules;
  if (!Array.isArray(rules)) throw await unreadable(root, rulesFile, 'it has no list `creation_rules`');
  return (rules as (Written | null)[]).map((rule) => ({
    pattern: checkPattern(String(rule?.path_regex ?? '')),
    recipients: recipientsIn(rule),
  }));
}

/** Syntax that only one of Go's RE2 (sops) and JavaScript supports. */
const foreignSyntax = /\(\?(?!:)|\\[1-9AzZQECpPkGK]|\[\[:/;

function checkPattern(pattern: string): string {
  let why = foreignSyntax.test(pattern)
    ? 'not every regular expression engine supports a part of it'
    : undefined;
  try {
    new RegExp(pattern);
  } catch (error) {
    why ??= (error as Error).message;
  }
  if (why === undefined) return pattern;
  throw new TaskError({
    what: `${rulesFile} has the \`path_regex\` ${pattern}`,
    why,
    advice: 'write it with characters, sets, groups (?:…) and * + ? ^ $ only',
  });
}

/** The rule that SOPS applies to a file: the first match. */
export const ruleFor = (rules: readonly CreationRule[], file: string): CreationRule | undefined =>
  rules.find(({ pattern }) => new RegExp(pattern).test(file));

/** The kinds of keys that open an environment's new secrets. */
export async function keyKinds(root: string, environment: string) {
  const rule = ruleFor(await creationRules(root), `environments/${environment}/secrets/database.yaml`);
  const recipients = rule?.recipients ?? [];
  return {
    openPgp: rule === undefined || recipients.some(isFingerprint),
    /** age, or a key of a service. */
    others: recipients.some((recipient) => !isFingerprint(recipient)),
  };
}
