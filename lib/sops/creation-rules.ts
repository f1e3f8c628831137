import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../project.ts';
import { TaskError } from '../runner/runner.ts';
import { fingerprintText } from './encrypted-file.ts';

/** Who can open a new file: a rule of `.sops.yaml`. */
export type CreationRule = { readonly pattern: string; readonly recipients: readonly string[] };

export const rulesFile = '.sops.yaml';

type Written = { readonly path_regex?: unknown; readonly pgp?: unknown };

/** The rules in their order. Throws `TaskError` when they cannot be read. */
export async function creationRules(): Promise<readonly CreationRule[]> {
  const { parse } = await import('yaml');
  try {
    const content = parse(await readFile(join(root, rulesFile), 'utf8')) as {
      creation_rules: readonly Written[];
    };
    return content.creation_rules.map(({ path_regex: pattern, pgp }) => ({
      pattern: String(pattern ?? ''),
      recipients: (Array.isArray(pgp) ? pgp : String(pgp ?? '').split(','))
        .map((fingerprint) => fingerprintText(String(fingerprint)))
        .filter((fingerprint) => fingerprint !== ''),
    }));
  } catch (error) {
    throw new TaskError({
      what: `${rulesFile} cannot be read`,
      why: (error as Error).message.split('\n')[0] ?? '',
      advice: `restore it: git checkout -- ${rulesFile}`,
    });
  }
}

/** The rule that SOPS takes for a file: the first that matches. */
export const ruleFor = (rules: readonly CreationRule[], file: string): CreationRule | undefined =>
  rules.find(({ pattern }) => new RegExp(pattern).test(file));
