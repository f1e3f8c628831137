import { runCli, task } from '../runner.ts';

/*
 * A server that others need: `ready.ts check` starts it, waits until it answers, and ends it afterwards. `ready.ts serve` lets it run
 * until Ctrl-C.
 */
const program = `
  const server = require('node:http').createServer((_, response) => response.end('hello'));
  server.listen(0, '127.0.0.1', () => console.log('listening on ' + server.address().port));
`;

const serve = task({
  name: 'serve',
  description: 'a server',
  // One of `log` (a text or a pattern), `port`, `url` and `command`.
  ready: { log: /listening on \d+/, timeoutMs: 30_000 },
  commands: () => [`node -e "${program.replaceAll(/\s+/g, ' ').trim()}"`],
});

const check = task({
  name: 'check',
  description: 'ask the server',
  needs: [serve],
  commands: () => ['echo the server is there'],
});

process.exitCode = await runCli([serve, check], process.argv.slice(2), { program: 'ready.ts' });
