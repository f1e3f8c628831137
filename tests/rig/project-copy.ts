import { cpSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { root } from '../../lib/project.ts';

const kept = [
  ...['charts', 'docker', 'environments', 'lib', 'sops', 'tasks', 'vault'],
  ...['.sops.yaml', 'helmfile.yaml', 'package.json', 'package-lock.json', 'run', 'tasks.ts'],
];

export type ProjectCopy = {
  readonly folder: string;
  /** Every file in it, relative to it, without the packages. */
  readonly files: () => string[];
  readonly remove: () => void;
};

/** A fresh clone of the project as it is now, with the packages of this one: nothing of a developer's own state is in it. */
export function copyProject(): ProjectCopy {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'clone-')));
  // What pins the Go modules is most of the project, and only looked at where something is built.
  const small = (path: string): boolean => !path.includes(`${sep}node_modules`);
  for (const name of kept) cpSync(join(root, name), join(folder, name), { recursive: true, filter: small });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  return {
    folder,
    files: () =>
      (readdirSync(folder, { recursive: true }) as string[])
        .filter((path) => !path.startsWith('node_modules'))
        .sort(),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
