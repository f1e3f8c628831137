import { rollbackWords, syncWords, takeBack } from '../helm/helm.ts';
import { declaredRelease, declaredReleases, helmfileText, withNeeds } from '../helm/helmfile.ts';
import { routeCertificateCommands } from '../ingress/certificates.ts';
import { helmText } from '../kubernetes/kubectl.ts';
import type { Target } from '../settings/context.ts';
import type { Environment } from '../settings/environment.ts';
import { type Selection, selector, selectsRelease, testWords, uninstallWords } from './selection.ts';

/* The plain commands of the tasks on releases, for `--dry-run`. */

type Input = Target & { readonly args: Selection; readonly passThrough: readonly string[] };

/** helmfile's option to select also what the selected releases need. */
const needsOption = (selected: readonly string[]): readonly string[] =>
  selected.length > 0 ? ['--include-transitive-needs'] : [];

/** The call of helmfile, and the certificates of the fronts that it installs. */
export async function installCommands(input: Input): Promise<readonly string[]> {
  const releases = withNeeds(await declaredReleases(input.environment.root), selectsRelease(input.args));
  const selected = selector(input.args);
  const words = [...selected, ...syncWords(takeBack), ...needsOption(selected), ...input.passThrough];
  return [await helmfileText(input, ...words), ...routeCertificateCommands(input, releases)];
}

export async function diffCommands(input: Input): Promise<readonly string[]> {
  const selected = selector(input.args);
  const options = [...needsOption(selected), '--suppress-secrets', ...input.passThrough];
  return [await helmfileText(input, ...selected, 'diff', ...options)];
}

export const testCommands = async (input: Input): Promise<readonly string[]> => [
  await helmfileText(input, ...testWords(input.args, input.passThrough)),
];

export const uninstallCommands = async (input: Input): Promise<readonly string[]> => [
  await helmfileText(input, ...uninstallWords(input.args, input.passThrough)),
];

export async function rollbackCommands(
  environment: Environment,
  name: string,
  revision: number | undefined,
): Promise<readonly string[]> {
  const release = await declaredRelease(environment.root, name);
  const words = rollbackWords(release, revision, takeBack).join(' ');
  return [`${helmText(environment)} --namespace ${release.namespace} ${words}`];
}
