import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Children } from '../../../children.ts';
import { type OutputMode, runnerSettings } from '../../../global-options.ts';
import { createStyle } from '../../../output/terminal.ts';
import { Redactor } from '../../../redact.ts';
import { runTasks } from '../../../run-tasks.ts';
import { Stop } from '../../../stop.ts';
import { task } from '../../../task.ts';
import { graphOf } from './fixture.ts';

/** Runs tasks that take 400 ms each by a clock that only they move, one at a time, and returns what is on stderr. */
async function run(count: number, output: OutputMode = 'plain'): Promise<string> {
  const realNow = Date.now;
  let now = 1_700_000_000_000;
  Date.now = () => now;
  const children = new Children();
  try {
    const tasks = Array.from({ length: count }, (_, place) =>
      task({
        name: `task-${place}`,
        description: 'd',
        commands: () => [],
        run: () => {
          now += 400;
        },
      }),
    );
    let shown = '';
    await runTasks({
      graph: await graphOf(tasks),
      settings: { ...runnerSettings({ jobs: 1, failure: 'no-new', wait: true }), output },
      children,
      stop: new Stop(children),
      redactor: new Redactor(),
      terminal: {
        out: () => {},
        err: (text) => {
          shown += text;
        },
        isTerminal: false,
        columns: () => 80,
        style: createStyle(false, true),
      },
      shell: undefined,
      memory: '.tasks',
      lock: undefined,
    });
    return shown;
  } finally {
    Date.now = realNow;
    children.close();
  }
}

test('a run of more than a second ends with its critical path, before its last line', async () => {
  const lines = (await run(4)).trimEnd().split('\n');
  assert.equal(lines.slice(-2), ['critical path 0.4s of 1.6s: task-0 0.4s', 'done: 5 tasks in 1.6s']);
});

test('a shorter run and one for programs do not', async () => {
  assert.not.match(await run(2), 'critical path');
  const json = await run(4, 'json');
  for (const line of json.trimEnd().split('\n')) assert.type(JSON.parse(line), 'object');
});

test.run();
