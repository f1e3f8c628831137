import { cpSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { root } from '../../lib/ground/project.ts';

const kept = [
  ...['charts', 'docker', 'environments', 'lib', 'sops', 'tasks', 'vault'],
  ...['.sops.yaml', 'helmfile.yaml', 'package.json', 'package-lock.json', 'run', 'tasks.ts'],
];

export type ProjectCopy = {
  readonly folder: string;
  /** Reverts what a test did to `environments/` and `.state/`. */
  readonly reset: () => void;
  /** Every file in it, relative to it, without the packages. */
  readonly files: () => string[];
  readonly remove: () => void;
};

/** A fresh clone of the working tree in a folder of this name, with this project's packages and without its state. */
export const copyProject = (name = 'clone'): ProjectCopy => copyOf(name, kept);

/** Only the environments, for functions that take the project's folder. */
export const copyEnvironments = (): ProjectCopy => copyOf('clone', ['environments']);

function copyOf(name: string, entries: readonly string[]): ProjectCopy {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'k8sd-')));
  const folder = join(base, name);
  const ours = (path: string): boolean =>
    !path.includes(`${sep}node_modules`) && !path.includes(`${sep}runner${sep}tests`);
  for (const entry of entries)
    cpSync(join(root, entry), join(folder, entry), { recursive: true, filter: ours });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  return {
    folder,
    files: () =>
      (readdirSync(folder, { recursive: true }) as string[])
        .filter((path) => !path.startsWith('node_modules'))
        .sort(),
    reset: () => {
      for (const name of ['environments', '.state'])
        rmSync(join(folder, name), { recursive: true, force: true });
      cpSync(join(root, 'environments'), join(folder, 'environments'), { recursive: true });
    },
    remove: () => rmSync(base, { recursive: true, force: true }),
  };
}
