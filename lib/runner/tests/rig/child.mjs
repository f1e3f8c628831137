// A command of a task that does only what the test tells it, over a socket: `node child.mjs <port> <name> …`.
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const [port, name, ...words] = process.argv.slice(2);
const socket = connect(Number(port), '127.0.0.1');
/** @param {object} message */
const tell = (message) => socket.write(`${JSON.stringify(message)}\n`);

/** @type {Record<string, (message: any) => unknown>} */
const actions = {
  print: ({ text, to }) =>
    (to === 'stdout' ? process.stdout : process.stderr).write(text, () => tell({ event: 'printed' })),
  // Only reports the signal from now on, and lives.
  trap: ({ signal }) => {
    process.on(signal, () => tell({ event: 'signal', signal }));
    tell({ event: 'trapped' });
  },
  // A grandchild in the same process group; it connects by itself.
  spawn: (message) => spawn(process.execPath, [process.argv[1], port, message.name], { stdio: 'ignore' }),
  environment: ({ variable }) => tell({ event: 'environment', value: process.env[variable] ?? null }),
  exit: ({ code }) => socket.end(() => process.exit(code)),
};

tell({ event: 'started', name, words, pid: process.pid });
for await (const line of createInterface({ input: socket })) {
  const message = JSON.parse(line);
  actions[message.action]?.(message);
}
