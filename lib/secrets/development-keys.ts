import { UsageError } from '@k8s-deployment/runner';
import { providerOf } from '../cluster/providers.ts';
import { readStrictYaml } from '../ground/strict-yaml.ts';
import type { Target } from '../settings/context.ts';
import type { GlobalOptions } from '../settings/global-options.ts';
import { readEncrypted, secretNames, secretsFile } from './encrypted-file.ts';
import { readNeeded, unreadable } from './how-to-restore.ts';
import { creationRules, isAmong, recipientText, ruleFor, rulesFile } from './recipients.ts';

/** Fingerprints of publicly known keys. */
export const developmentKeysFile = 'sops/development-keys.yaml';

export async function developmentKeys(root: string): Promise<readonly string[]> {
  const text = await readNeeded(root, developmentKeysFile);
  const { value } = await readStrictYaml(text, developmentKeysFile);
  if (Array.isArray(value)) return value.map((fingerprint) => recipientText(String(fingerprint)));
  throw await unreadable(root, developmentKeysFile, 'it is not a list');
}

export type Secured = Target & { readonly options: Pick<GlobalOptions, 'allowDevelopmentKeys'> };

/** Why the environment may not use development keys; undefined if it may. */
export function whyNoDevelopmentKeys({ environment, settings, options }: Secured): string | undefined {
  const { production, sops } = settings;
  if (options.allowDevelopmentKeys || sops.allowDevelopmentKeys) return undefined;
  if (production) return `environment \`${environment.name}\` says \`production: true\``;
  return providerOf(environment).ownsCluster ? undefined : `the provider is \`${environment.provider}\``;
}

/**
 * Refuses an environment that matters if its secrets, or the rule for new ones, are encrypted for a development key.
 * Recognises keys by fingerprint, not by file name. Also refuses a rule without a backup key. Throws `UsageError`,
 * since an option can allow it.
 */
export async function refuseDevelopmentKeys(input: Secured): Promise<void> {
  const reason = whyNoDevelopmentKeys(input);
  if (reason === undefined) return;
  const { name, root } = input.environment;
  const known = await developmentKeys(root);
  const files = (await secretNames(input.environment)).map((file) => secretsFile(name, file));
  const rule = ruleFor(await creationRules(root), files[0] ?? secretsFile(name, 'database.yaml'));
  const refuse = (place: string, recipients: readonly string[]): void => {
    const found = recipients.find((fingerprint) => isAmong(known, fingerprint));
    if (found === undefined) return;
    throw new UsageError({
      what: `${place}, ${found}`,
      why: `${reason}, and such a key protects nothing (${developmentKeysFile})`,
      advice:
        'use your own keys: sops/README.md; for a trial: --allow-development-keys, or the setting sops.allowDevelopmentKeys',
    });
  };
  for (const file of files)
    refuse(`${file} is encrypted for a development key`, (await readEncrypted(root, file)).recipients);
  refuse(`the rule in ${rulesFile} names a development key`, rule?.recipients ?? []);
  if (rule?.recipients.length !== 1) return;
  throw new UsageError({
    what: `the rule in ${rulesFile} names no backup key beside ${rule.recipients[0]}`,
    why: `${reason}, and if its only key is lost, so is every secret`,
    advice: 'add a second recipient, whose private half is kept elsewhere: sops/README.md',
  });
}
