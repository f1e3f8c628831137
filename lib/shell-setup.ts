import { quote } from './runner/runner.ts';

/** Each names another server, namespace or folder than the environment's for helm, helmfile or vault. */
const misleading = /^(?:HELM|HELMFILE|VAULT)_[A-Z0-9_]+$/;

/**
 * What a shell evaluates to work by hand: the variables, and before them the removal of those of the user's (`present` has the names)
 * that would lead the same programs elsewhere. The tasks' own, such as SOPS_PGP_KEY_FILE, stay.
 */
export function shellSetup(
  variables: { readonly [name: string]: string },
  present: readonly string[],
): string[] {
  const removed = present.filter((name) => misleading.test(name) && !(name in variables)).sort();
  return [
    ...(removed.length > 0 ? [`unset ${removed.join(' ')}`] : []),
    ...Object.entries(variables).map(([name, value]) => `export ${name}=${quote(value)}`),
  ];
}
