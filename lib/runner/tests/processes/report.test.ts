import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { driven, folder, rig, useRig } from '../rig/rig.ts';

useRig(test);

test('an interrupted run is reported; a secret is in neither file, not even where it was printed before it was one', async () => {
  const secret = 'correct horse battery';
  const leaking = { secrets: [secret], commands: [`${rig.command('leak')} '${secret}'`], needs: ['early'] };
  const files = ['run.html', 'trace.json'];
  const [page = '', slices = ''] = files.map((name) => join(folder, name));
  const words = ['leak', '--report', page, '--trace', slices];
  const run = rig.run([driven('early', { behaviour: 'print' }), { name: 'leak', ...leaking }], words);
  const early = await rig.next('early');
  await early.print(`it is ${secret}\n`);
  await early.exit();
  const leak = await rig.next('leak');
  await leak.printError(`failed: ${secret}\n`);
  run.kill('SIGTERM');
  assert.is(await run.exit, 143);
  assert.match(run.stderr, `written: ${page}, ${slices}\ninterrupted after`);
  assert.equal(readdirSync(folder).sort(), files);
  const [html, trace] = [readFileSync(page, 'utf8'), readFileSync(slices, 'utf8')];
  const data = JSON.parse(
    /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(html)?.[1] ?? '',
  );
  assert.equal([data.outcome, data.exitCode], ['interrupted', 143]);
  const shown = data.tasks.map(({ label, status, lines }: Recorded) => [label, status, lines.at(-1)?.text]);
  assert.equal(shown, [
    ['early', 'done', 'result of early'],
    ['leak', 'interrupted', 'failed: ***'],
  ]);
  assert.match(html, 'it is ***');
  const names = JSON.parse(trace).traceEvents.map(({ name }: { name: string }) => name);
  assert.ok(names.includes('early') && names.includes('leak'));
  for (const text of [html, trace]) assert.not.match(text, 'horse');
});

type Recorded = {
  readonly label: string;
  readonly status: string;
  readonly lines: readonly { text: string }[];
};

test.run();
