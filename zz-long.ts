import { runCli, task } from '/var/tmp/w/text/lib/runner/runner.ts';
const print = process.execPath + ' /var/tmp/w/text/bench/runner/programs/print-gigabyte.mjs one-line';
const long = task({ name: 'long', description: 'd', commands: () => ['head -c 3000000 /dev/zero | tr "\\0" x; echo'] });
const giga = task({ name: 'giga', description: 'd', commands: () => [print] });
const secret = task({ name: 'secret', description: 'd', run: async ({secret, $}) => { secret('correct horse battery'); secret('hunter22hunter22'); await $([print] as any).catch?.(()=>{}); } });
const two = task({ name: 'two', description: 'd', needs: [long, giga], commands: () => [] });
process.exitCode = await runCli([long, giga, two, secret], process.argv.slice(2));
