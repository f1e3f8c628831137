import { once } from 'node:events';

// Prints 1 GiB as fast as it is read: in lines of 128 bytes, or without line breaks with the argument `one-line`.
const lineBreak = process.argv[2] === 'one-line' ? 'x' : '\n';
const chunk = Buffer.from(`${'x'.repeat(127)}${lineBreak}`.repeat(8192));
for (let printed = 0; printed < 2 ** 30; printed += chunk.length) {
  if (!process.stdout.write(chunk)) await once(process.stdout, 'drain');
}
