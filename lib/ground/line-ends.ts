import { TaskError } from '@k8s-deployment/runner';

/** A file by its path relative to the project. */
type ProjectFile = { readonly path: string; readonly text: string | Buffer };

/**
 * Throws `TaskError` if a file has Windows line ends. YAML ignores them, but a script in a ConfigMap fails, and SQL and
 * policies look changed. .gitattributes keeps git from creating them.
 */
export function checkLineEnds(files: readonly ProjectFile[]): void {
  const wrong = files.filter(({ text }) => text.includes('\r\n'));
  if (wrong.length === 0) return;
  const others = wrong.length > 1 ? ` and ${wrong.length - 1} more` : '';
  throw new TaskError({
    what: `${wrong[0]?.path}${others} with Windows line ends`,
    why: 'the text is used in the cluster, where a carriage return breaks scripts and statements',
    advice: `rewrite with plain line ends: git ls-files -z charts vault | xargs -0 perl -pi -e 's/\\r$//'`,
  });
}
