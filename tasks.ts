import { readFileSync } from 'node:fs';
import { quickAnswer } from './lib/runner/quick-answer.ts';

const argv = process.argv.slice(2);
const version = (): string =>
  JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')).version;
// What takes time is imported only when it is needed.
process.exitCode =
  quickAnswer(argv, { version }) ??
  (await (await import('./lib/bootstrap.ts')).bootstrap(argv)) ??
  (await (await import('./tasks/all.ts')).run(argv));
