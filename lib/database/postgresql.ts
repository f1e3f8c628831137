import { connect, type Socket } from 'node:net';

/** An SSLRequest, with which a client asks for TLS first. */
const sslRequest = message(80877103, '');
/** Protocol 3.0. */
const startup = message(3 << 16, 'user\0postgres\0database\0postgres\0\0');

function message(code: number, parameters: string): Buffer {
  const head = Buffer.alloc(8);
  head.writeInt32BE(head.length + parameters.length, 0);
  head.writeInt32BE(code, 4);
  return Buffer.concat([head, Buffer.from(parameters)]);
}

/**
 * True if a PostgreSQL server accepts connections within `timeoutMs`: it answers a StartupMessage, over TLS if offered, with a
 * request for authentication. Sends no password, so it does not verify the certificate. Never rejects. Source: PostgreSQL
 * manual, "Message Formats".
 */
export function isPostgresqlReady(host: string, port: number, timeoutMs = 2000): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (ready: boolean) => {
      socket.destroy();
      resolve(ready);
    };
    const timer = setTimeout(() => end(false), timeoutMs);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve(false);
    });
    socket.once('error', () => end(false));
    const start = (stream: Pick<Socket, 'once' | 'write'>) => {
      // 'R' asks for authentication; 'E' is an error such as "the database system is starting up".
      stream.once('data', (answer) => end(answer[0] === 0x52));
      stream.write(startup);
    };
    socket.once('connect', () => socket.write(sslRequest));
    socket.once('data', (answer) => {
      if (answer[0] !== 0x53) return answer[0] === 0x4e ? start(socket) : end(false);
      import('node:tls').then(
        (tls) => {
          const encrypted = tls.connect({ socket, rejectUnauthorized: false });
          encrypted.once('error', () => end(false));
          encrypted.once('secureConnect', () => start(encrypted));
        },
        () => end(false),
      );
    });
  });
}
