import { bootstrap } from './lib/start/bootstrap.ts';

const argv = process.argv.slice(2);
// The tasks need packages, which may have to be installed first.
process.exitCode = (await bootstrap(argv)) ?? (await (await import('./tasks/all.ts')).run(argv));
