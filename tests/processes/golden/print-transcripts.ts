// `print-transcripts.ts <project> <its tasks/all.ts, or that bundled> <JSON list of command lines>`: prints the dry run
// of each as a JSON list of `{exitCode, text}`.
import { pathToFileURL } from 'node:url';

const [project = '', all = '', commandLines = '[]'] = process.argv.slice(2);
const { run } = await import(pathToFileURL(all).href);
process.chdir(project);

const write = process.stdout.write.bind(process.stdout);
let text = '';
process.stdout.write = ((chunk: string | Uint8Array) => {
  text += chunk;
  return true;
}) as typeof process.stdout.write;

const transcripts: { exitCode: number; text: string }[] = [];
for (const words of JSON.parse(commandLines) as string[][]) {
  text = '';
  transcripts.push({ exitCode: await run([...words, '--dry-run']), text });
}
write(JSON.stringify(transcripts));
