import { syncWords, takeBack } from '../helm/helm.ts';
import { declaredReleases, helmfileText, withNeeds } from '../helm/helmfile.ts';
import { routeCertificateCommands } from '../ingress/certificates.ts';
import { helmText } from '../kubernetes/kubectl.ts';
import type { Target } from '../settings/context.ts';
import { type Selection, selector, selectsRelease, testWords } from './selection.ts';

/* What the tasks of a deployment stand for, for `--dry-run`. */

type Deployment = Target & { readonly args: Selection; readonly passThrough: readonly string[] };

/** One helmfile call; `withNeeds` takes in what the selected releases need. */
async function helmfileCall(
  input: Deployment,
  words: readonly string[],
  needs: 'with needs' | 'alone',
): Promise<string> {
  const selected = selector(input.args);
  const transitive = needs === 'with needs' && selected.length > 0 ? ['--include-transitive-needs'] : [];
  return helmfileText(input, ...selected, ...words, ...transitive, ...input.passThrough);
}

/** helmfile's call, and the certificates of the fronts that it installs. */
export async function installCommands(input: Deployment): Promise<readonly string[]> {
  const releases = withNeeds(await declaredReleases(), selectsRelease(input.args));
  return [
    await helmfileCall(input, syncWords(takeBack), 'with needs'),
    ...routeCertificateCommands(input, releases),
  ];
}

export const diffCommands = async (input: Deployment): Promise<readonly string[]> => [
  await helmfileCall(
    { ...input, passThrough: ['--suppress-secrets', ...input.passThrough] },
    ['diff'],
    'with needs',
  ),
];

export const testCommands = async (input: Deployment): Promise<readonly string[]> => [
  await helmfileCall(input, testWords, 'alone'),
];

export const uninstallCommands = async (input: Deployment): Promise<readonly string[]> => [
  await helmfileCall(input, ['destroy'], 'alone'),
];

export async function rollbackCommands(
  { environment }: Pick<Target, 'environment'>,
  name: string,
  revision: number | undefined,
): Promise<readonly string[]> {
  const release = (await declaredReleases()).find((candidate) => candidate.name === name);
  const helm = `${helmText(environment)} --namespace ${release?.namespace}`;
  const target = revision === undefined ? name : `${name} ${revision}`;
  return [`${helm} rollback ${target} --wait --timeout ${release?.timeout}s ${takeBack.join(' ')}`];
}
