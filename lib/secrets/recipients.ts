import { TaskError } from '@k8s-deployment/runner';
import { readStrictYaml } from '../ground/strict-yaml.ts';
import { readNeeded, unreadable } from './how-to-restore.ts';

/*
 * The keys that open a file, each as one text, the same in a rule of .sops.yaml and in a file's metadata (sops:
 * config/config.go, stores/stores.go): an OpenPGP fingerprint, an age recipient, or the name of a key of a service.
 */

type Fields = { readonly [name: string]: unknown };

/** A recipient as `isAmong` compares it: fingerprints in SOPS' form (no blanks, upper case), others as they are. */
export const recipientText = (text: string): string =>
  /^\s*(?:age1|arn:|projects\/|https?:)/.test(text)
    ? text.trim()
    : text
        .replace(/\s/g, '')
        .replace(/^0x|!$/g, '')
        .toUpperCase();

/** True if a fingerprint, or the key id at its end, is among the known ones. */
export const isAmong = (known: readonly string[], fingerprint: string): boolean =>
  fingerprint.length >= 8 && known.some((other) => other.endsWith(fingerprint));

/** True for an OpenPGP fingerprint; all others need no key of this machine's keyring. */
export const isFingerprint = (recipient: string): boolean => /^[0-9A-F]{8,}$/.test(recipient);

/** Where the text of a recipient is, by field of a rule or of the metadata; a rule may have plain texts, too. */
const kinds: { readonly [field: string]: (key: Fields) => unknown } = {
  pgp: ({ fp }) => fp,
  age: ({ recipient }) => recipient,
  kms: ({ arn }) => arn,
  gcp_kms: ({ resource_id }) => resource_id,
  azure_keyvault: ({ vaultUrl, key, version }) => azureKey(vaultUrl, key, version),
  azure_kv: ({ vault_url, name, version }) => azureKey(vault_url, name, version),
  hc_vault: ({ vault_address, engine_path, key_name }) =>
    `${String(vault_address).replace(/\/$/, '')}/v1/${String(engine_path)}/keys/${String(key_name)}`,
  hc_vault_transit_uri: () => '',
};

const azureKey = (url: unknown, name: unknown, version: unknown): string =>
  `${String(url).replace(/\/$/, '')}/keys/${String(name)}/${String(version ?? '')}`;

/** The recipients of a rule, or of the metadata of a file; listed directly or in groups. */
export function recipientsIn(content: unknown): string[] {
  if (typeof content !== 'object' || content === null) return [];
  const fields = content as Fields;
  const direct = Object.entries(kinds).flatMap(([field, textOf]) =>
    listOf(fields[field]).map((key) => (typeof key === 'string' ? key : String(textOf(key as Fields) ?? ''))),
  );
  const groups = listOf(fields.key_groups).concat(listOf(fields.merge)).flatMap(recipientsIn);
  // A role of AWS is no part of the key's name.
  const texts = direct.map((text) => recipientText(text.replace(/^\s*(arn:[^+]*)\+.*$/s, '$1')));
  return [...new Set([...texts.filter((text) => text !== ''), ...groups])];
}

const listOf = (value: unknown): unknown[] =>
  Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [];

/** A rule of `.sops.yaml`: the recipients of new files that match the pattern. */
type CreationRule = { readonly pattern: string; readonly recipients: readonly string[] };

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
