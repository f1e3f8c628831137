import { TaskError } from '@k8s-deployment/runner';

/**
 * Names of files that editors, systems and merges leave: emacs (`.#x`, `#x#`, `x~`), vim (`.x.swp`, `4913`), git and
 * patch (`x.orig`, `x.rej`), macOS (`._x`, `.DS_Store`), Windows (`Thumbs.db`, `desktop.ini`). Includes all hidden
 * files, as the project's names never begin with a dot. charts/<chart>/.helmignore has the same rule.
 */
const leftovers =
  /^(?:\.#.*|#.*#|.*~|\..*\.sw.|4913|.*\.(?:orig|rej|bak)|\._.*|\.DS_Store|Thumbs\.db|desktop\.ini|\..*\.(?:ya?ml|asc|hcl))$/;

/** The same as a glob for watching, which may ignore too much. */
export const leftoverGlob = '**/{.*,*~,#*#,4913,*.orig,*.rej,*.bak,Thumbs.db,desktop.ini}';

export const isLeftover = (name: string): boolean => leftovers.test(name);

/**
 * Names in a folder with this ending, sorted, without leftovers. Throws `TaskError` for a similar ending (`.YAML`,
 * `.yml`); `folder` is for the error.
 */
export function namesEnding(folder: string, names: readonly string[], ending: string): string[] {
  const meant = names.filter((name) => withEnding(name, ending) !== undefined && !isLeftover(name)).sort();
  const wrong = meant.find((name) => !name.endsWith(ending));
  if (wrong === undefined) return meant;
  throw new TaskError({
    what: `${folder}/${wrong} would have no effect`,
    why: `files there end in ${ending}`,
    advice: `rename it to ${withEnding(wrong, ending)}`,
  });
}

/** The name with the exact ending; undefined for other kinds of files. */
function withEnding(name: string, ending: string): string | undefined {
  const whole = name.replace(/\.yml$/i, '.yaml');
  return whole.toLowerCase().endsWith(ending) ? whole.slice(0, -ending.length) + ending : undefined;
}
