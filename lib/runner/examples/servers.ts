import { runCli, task } from '../runner.ts';

/*
 * What is only there for others: `servers.ts check` starts a server, fills it, and takes both away at the end, also
 * with `--broken`. `servers.ts serve` lets the server run until Ctrl-C.
 */
const program = `
  const server = require('node:http').createServer((_, response) => response.end('hello'));
  server.listen(0, '127.0.0.1', () => console.log('listening on ' + server.address().port));
`;

const serve = task({
  name: 'serve',
  description: 'a server',
  // It is ready when a line of its output holds this text. It is ended when nothing needs it any more.
  ready: { log: 'listening on ', timeoutMs: 30_000 },
  commands: () => [`node -e "${program.replaceAll(/\s+/g, ' ').trim()}"`],
});

const remove = task({
  name: 'remove',
  description: 'remove the database',
  private: true,
  commands: () => ['echo database removed'],
});

const database = task({
  name: 'database',
  description: 'make a database',
  needs: [serve],
  // After this task and everything that needs it, also after a failure or Ctrl-C; not when this task never started.
  finally: [remove],
  commands: () => ['echo database made'],
});

const check = task({
  name: 'check',
  description: 'test against the database',
  args: { broken: { type: 'boolean', description: 'let it fail' } },
  needs: [database],
  commands: ({ args }) => [args.broken ? 'exit 3' : 'echo checked'],
});

process.exitCode = await runCli([serve, remove, database, check], process.argv.slice(2), {
  program: 'servers.ts',
});
