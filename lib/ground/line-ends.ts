import { TaskError } from '../runner/runner.ts';

/** A file of the project, by its path from the root. */
type ProjectFile = { readonly path: string; readonly text: string | Buffer };

/**
 * Throws `TaskError` when a file has Windows line ends. YAML reads over them, but a script in a ConfigMap does not run, and SQL and
 * policies differ from what was written before. .gitattributes keeps git from making them.
 */
export function checkLineEnds(files: readonly ProjectFile[]): void {
  const wrong = files.filter(({ text }) => text.includes('\r\n'));
  if (wrong.length === 0) return;
  const others = wrong.length > 1 ? ` and ${wrong.length - 1} more` : '';
  throw new TaskError({
    what: `${wrong[0]?.path}${others} with Windows line ends`,
    why: 'its text goes into the cluster, where a carriage return is part of a script or statement',
    advice: `rewrite with plain line ends: git ls-files -z charts vault | xargs -0 perl -pi -e 's/\\r$//'`,
  });
}
