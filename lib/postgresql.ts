import { connect } from 'node:net';

/**
 * Whether a PostgreSQL server answers at the address and takes connections: it is sent a StartupMessage (protocol 3.0) and
 * must ask for authentication. No password is involved. Rejects never; `timeoutMs` bounds the wait.
 * Source: PostgreSQL manual, "Message Formats".
 */
export function isPostgresqlReady(host: string, port: number, timeoutMs = 2000): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (ready: boolean) => {
      socket.destroy();
      resolve(ready);
    };
    socket.setTimeout(timeoutMs, () => end(false));
    socket.once('error', () => end(false));
    socket.once('close', () => resolve(false));
    socket.once('connect', () => {
      const parameters = Buffer.from('user\0postgres\0database\0postgres\0\0');
      const head = Buffer.alloc(8);
      head.writeInt32BE(head.length + parameters.length, 0);
      head.writeInt32BE(3 << 16, 4);
      socket.write(Buffer.concat([head, parameters]));
    });
    // 'R' asks for authentication; 'E' is an error such as "the database system is starting up".
    socket.once('data', (answer) => end(answer[0] === 0x52));
  });
}
