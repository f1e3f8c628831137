import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promises, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { builtTool, inPlace, toolchain } from '../../unit/tools/tool-fixture.ts';

test('two processes that need the same tool at the same time build it once', () =>
  inPlace(async (place) => {
    // The compiler reports its start and continues when the test allows it, whichever process runs it.
    const started = join(place.folder, 'started');
    const go = join(place.folder, 'go');
    execFileSync('mkfifo', [started, go]);
    const entry = builtTool(place, `echo started > "${started}"; read -r line < "${go}"`);
    const request = join(place.folder, 'request.json');
    writeFileSync(request, JSON.stringify({ entry, toolchain }));

    const first = start(request);
    await opened(started);
    const second = start(request);
    const waiting = await nextLine(second);
    assert.match(
      waiting,
      /^log hammer-1\.2\.3-go-[0-9a-f]+: waiting for process \d+, which is installing it$/,
    );
    assert.match(waiting, new RegExp(`process ${first.pid},`));
    writeFileSync(go, 'on\n');

    const [paths] = await Promise.all([Promise.all([lastLine(first), lastLine(second)])]);
    assert.is(paths[0], paths[1]);
    assert.match(paths[0] ?? '', /^got .*\/hammer$/);
    assert.is(place.calls().length, 1);
  }));

const script = new URL('get-tool-process.ts', import.meta.url).pathname;

type Running = ChildProcess & { readonly lines: string[] };

function start(request: string): Running {
  const child = spawn(process.execPath, ['--import', 'tsx', script, request], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    child.emit('said');
  });
  return Object.assign(child, { lines });
}

async function nextLine(child: Running): Promise<string> {
  while (child.lines.length === 0) await once(child, 'said');
  return child.lines.shift() ?? '';
}

async function lastLine(child: Running): Promise<string | undefined> {
  if (child.exitCode === null) await once(child, 'close');
  return child.lines.at(-1);
}

/** Returns when the writer has written and closed its end: closed before that, its write would fail. */
async function opened(fifo: string): Promise<void> {
  await promises.readFile(fifo);
}

test.run();
