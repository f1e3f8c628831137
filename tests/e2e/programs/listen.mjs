// Listens on the TCP ports of $PORTS and answers on UDP port 53, until SIGTERM.

import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

for (const port of (process.env.PORTS ?? '').split(' ').map(Number)) {
  createServer((socket) => socket.on('error', () => {}).end()).listen(port);
}
const echo = createSocket('udp4');
echo.on('message', (message, { address, port }) => echo.send(message, port, address)).bind(53);
process.once('SIGTERM', () => process.exit());
