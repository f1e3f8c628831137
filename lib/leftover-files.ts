/**
 * Names of files that editors, systems and merges leave beside a file of ours: emacs (`.#x`, `#x#`, `x~`), vim (`.x.swp`, `4913`),
 * git and patch (`x.orig`, `x.rej`), macOS (`._x`, `.DS_Store`), Windows (`Thumbs.db`, `desktop.ini`). Hidden settings, keys and
 * policies count too: none of ours begins with a dot. charts/<chart>/.helmignore says the same to helm.
 */
const leftovers =
  /^(?:\.#.*|#.*#|.*~|\..*\.sw.|4913|.*\.(?:orig|rej|bak)|\._.*|\.DS_Store|Thumbs\.db|desktop\.ini|\..*\.(?:yaml|asc|hcl))$/;

export const isLeftover = (name: string): boolean => leftovers.test(name);

/** Of the names in a folder, those that end this way and that nobody left there by accident; sorted. */
export const namesEnding = (names: readonly string[], ending: string): string[] =>
  names.filter((name) => name.endsWith(ending) && !isLeftover(name)).sort();
