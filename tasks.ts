import { bootstrap } from './lib/bootstrap.ts';

const argv = process.argv.slice(2);
process.exitCode = (await bootstrap(argv)) ?? (await (await import('./tasks/all.ts')).run(argv));
