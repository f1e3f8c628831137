import { cpSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { root } from '../../lib/ground/project.ts';
import { temporaryFolder } from '../../lib/runner/tests/rig/folder.ts';

export type ProjectCopy = {
  readonly folder: string;
  /** Gives the folder back as it was. */
  readonly reset: () => void;
};

/**
 * False for the folder of an environment that somebody added to this repository: tests make some in copies of the
 * project, perhaps of the same name. True for the one that `--env` names. `path` is relative to the project.
 */
export function isOfExamples(path: string): boolean {
  const [top, name = '', ...rest] = path.split(sep);
  if (top !== 'environments' || (rest.length === 0 && /^$|\./.test(name))) return true;
  return ['cloud', 'development', 'lab', 'production', process.env.TEST_ENVIRONMENT].includes(name);
}

/**
 * Some files and folders of the project in a folder of their own, for functions that are given the project's folder. It
 * is removed with this process.
 */
export function copyOf(...entries: readonly string[]): ProjectCopy {
  const folder = join(temporaryFolder(), 'project');
  const ours = (path: string): boolean =>
    !path.includes(`${sep}node_modules`) &&
    !path.includes(`${sep}runner${sep}tests`) &&
    isOfExamples(relative(root, path));
  const reset = (): void => {
    rmSync(folder, { recursive: true, force: true });
    for (const entry of entries)
      cpSync(join(root, entry), join(folder, entry), { recursive: true, filter: ours });
  };
  reset();
  return { folder, reset };
}

/** A fresh clone of the working tree, with this project's packages and without its state. */
export function copyProject(): ProjectCopy {
  const copy = copyOf(
    ...['charts', 'docker', 'environments', 'lib', 'sops', 'tasks', 'vault'],
    ...['.sops.yaml', 'helmfile.yaml', 'package.json', 'package-lock.json', 'run', 'tasks.ts'],
  );
  symlinkSync(join(root, 'node_modules'), join(copy.folder, 'node_modules'));
  return copy;
}

/** Every file in a copy, relative to it, without the packages. */
export const filesOf = ({ folder }: ProjectCopy): string[] =>
  (readdirSync(folder, { recursive: true }) as string[])
    .filter((path) => !path.startsWith('node_modules'))
    .sort();

/** What editors, systems and merges leave beside a file of this name. */
export const leftovers = (name: string): string[] => [
  ...[`.#${name}`, `#${name}#`, `${name}~`, `.${name}.swp`, `.${name}.swo`, '4913'],
  ...[`${name}.orig`, `${name}.rej`, `${name}.bak`, `._${name}`, '.DS_Store', 'Thumbs.db', 'desktop.ini'],
];
