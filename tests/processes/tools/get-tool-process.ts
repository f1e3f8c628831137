import { readFileSync } from 'node:fs';
import { getTool } from '../../../lib/tools/get-tool.ts';
import { plainShell } from '../../unit/tools/tool-fixture.ts';

// Run by two-processes.test.ts: installs one tool and reports its progress on stdout.
const { entry, toolchain } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
const say = (line: string) => void process.stdout.write(`${line}\n`);
const context = {
  $: plainShell(),
  signal: new AbortController().signal,
  log: (line: string) => say(`log ${line}`),
  progress: () => {},
};
const tool = await getTool(entry, {}, context, toolchain);
say(`got ${tool.path}`);
