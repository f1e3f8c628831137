import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { TLSSocket } from 'node:tls';
import { databaseCertificate } from '../../lib/database/certificate.ts';
import type { Target } from '../../lib/settings/context.ts';
import { makeCertificate } from './certificate.ts';
import { portOf } from './loopback.ts';

/** Answers of the protocol: type, length, content. */
const message = (type: string, ...content: readonly (number | string)[]): Buffer => {
  const parts = content.map((part) =>
    typeof part === 'number' ? Buffer.of(0, 0, 0, part) : Buffer.from(part),
  );
  const body = Buffer.concat(parts);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type), length, body]);
};
const askPassword = message('R', 3);
const accepted = Buffer.concat([message('R', 0), message('Z', 'I')]);
const done = Buffer.concat([message('C', 'SET\0'), message('Z', 'I')]);

/**
 * A PostgreSQL on loopback with the environment's certificate: agrees to TLS, asks for the password in clear text, and
 * answers it with the error of a SQLSTATE, by accepting it, or by losing the connection. A statement with values gets
 * the error of a SQLSTATE, loses the connection, or gets an answer that is none. Returns the port.
 */
export async function scriptedPostgresql(
  { environment, settings }: Target,
  answer: (password: string) => 'accepted' | 'lost' | string,
  statement: 'lost' | 'garbled' | string = 'lost',
): Promise<number> {
  const files = databaseCertificate(environment);
  const folder = dirname(files.authority);
  mkdirSync(folder, { recursive: true });
  const made = await makeCertificate(folder, 'scripted', [`DNS:${settings.database.host}`]);
  writeFileSync(files.authority, made.authority);
  const [key, cert] = [readFileSync(made.key), readFileSync(made.certificate)];
  const refuse = (severity: string, code: string) => message('E', `S${severity}\0C${code}\0Mno\0\0`);
  const reply = (socket: Socket, secure: TLSSocket, data: Buffer) => {
    const type = String.fromCharCode(data[0] ?? 0);
    const said = type === 'p' ? answer(data.subarray(5, -1).toString()) : type === 'P' ? statement : '';
    if (type === '\0') secure.write(askPassword);
    else if (type === 'Q') secure.write(done);
    else if (said === 'accepted') secure.write(accepted);
    else if (said === 'lost') socket.resetAndDestroy();
    else if (said === 'garbled') socket.write('no TLS');
    else if (type === 'p') secure.end(refuse('FATAL', said));
    else if (type === 'P') secure.write(Buffer.concat([refuse('ERROR', said), message('Z', 'I')]));
  };
  const server = createServer((socket) => {
    socket
      .on('error', () => undefined)
      .once('data', () => {
        // Yes to TLS.
        socket.write('S');
        const secure = new TLSSocket(socket, { isServer: true, key, cert });
        secure.on('error', () => undefined).on('data', (data) => reply(socket, secure, data));
      });
  });
  return portOf(server);
}
