import { Session } from 'node:inspector';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { shared, stampedPath, stampOf } from '../quick-answer.ts';
import type { CliConfig } from '../run-cli.ts';
import { scriptFiles } from './script.ts';

type Declared = Pick<CliConfig, 'sources' | 'dotenv'>;

/** A clock of the file system that only knows seconds (or two of them, FAT) hides what comes after within the same one. */
const coarseMs = 2000;
/** Linux takes the time of a file from its last tick, at most 10 ms ago. */
export const tickMs = 20;

/**
 * The stamps of all that this process was made from: every file that Node has loaded, the folders that these are in (a new file
 * may be picked up by its place), and what the configuration says that tasks read by themselves. Undefined when one of them was
 * changed since the process began: what was loaded may then be older than what is there now.
 */
export function sourceStamps({ sources: declared = [], dotenv }: Declared): readonly string[] | undefined {
  const built = new Set(shared.libraries.map(({ file }) => file));
  const files = [
    ...loadedFiles().filter((file) => !built.has(file)),
    ...shared.libraries.flatMap(({ sources }) => sources.map(stampedPath)),
  ];
  const paths = new Set<string>();
  for (const file of files) {
    const ours = packageFile(file) === undefined;
    paths.add(packageFile(file) ?? file);
    if (ours) paths.add(dirname(file));
  }
  for (const path of [...declared, ...scriptFiles, ...(dotenv === undefined ? [] : [dotenv])])
    paths.add(resolve(path));
  // A stamp is one line of a file that shells read.
  if ([...paths].some((path) => /[\n\r\t]/.test(path))) return undefined;
  const stamps = [...paths].sort().map(stampOf);
  return stamps.every(isSettled) ? stamps : undefined;
}

/** Every file that V8 holds as a script, which is every module and what CommonJS has required. */
function loadedFiles(): string[] {
  const session = new Session();
  const files = new Set<string>();
  session.on('Debugger.scriptParsed', ({ params: { url } }) => {
    const path = url.replace(/[?#].*$/, '');
    if (path.startsWith('file://')) files.add(fileURLToPath(path));
    else if (path.startsWith('/')) files.add(path);
  });
  session.connect();
  // Answers at once, with an event for each script that is there.
  session.post('Debugger.enable');
  session.disconnect();
  return [...files];
}

/** For a file of a package its package.json: another version of the package changes that, and nobody edits the rest. */
function packageFile(file: string): string | undefined {
  const [, folder] = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file) ?? [];
  return folder === undefined ? undefined : join(folder, 'package.json');
}

function isSettled(stamp: string): boolean {
  if (stamp.startsWith('absent ')) return true;
  const times = stamp.slice(0, -stampedPath(stamp).length).split(' ').slice(1, 3);
  return times.every((time) => {
    const [seconds = '0', fraction = ''] = time.split('.');
    const at = Number(`${seconds}.${fraction}`) * 1000;
    return at + (Number(fraction) === 0 ? coarseMs : tickMs) < performance.timeOrigin;
  });
}
