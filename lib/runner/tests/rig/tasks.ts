// A program of tasks made from the RIG_TASKS variable, for tests that need a run in a process of its own.
import { setTimeout as wait } from 'node:timers/promises';
import { type AnyTask, runCli, type TaskContext, task, UsageError } from '../../runner.ts';
import type { RigTask } from './rig.ts';

const declared = new Map<string, AnyTask>();
for (const entry of JSON.parse(process.env.RIG_TASKS ?? '[]') as RigTask[]) {
  declared.set(entry.name, declare(entry));
}

process.exitCode = await runCli([...declared.values()], process.argv.slice(2), {
  program: 'rig',
  version: '1.2.3',
  options: { environment: { type: 'string', default: 'development', description: 'the environment' } },
  resolve: async (options) => {
    if (options.environment === 'nowhere') throw new UsageError({ what: 'unknown environment `nowhere`' });
    return options;
  },
  lock: (_, name) => (name === true ? (process.env.RIG_LOCK ?? '') : name),
  ...(process.env.RIG_SHELL && {
    shell: async () => {
      const { cwd, ...variables } = JSON.parse(process.env.RIG_SHELL ?? '');
      return { cwd, env: { ...process.env, ...variables } };
    },
  }),
  memory: () => process.env.RIG_MEMORY ?? '.tasks',
});

function declare(entry: RigTask): AnyTask {
  const { name, commands = [], needs = [], secrets, cleanup, behaviour, ...others } = entry;
  const { finally: finalisers, watched, plain, explicit, ...rest } = others;
  return task({
    ...rest,
    ...(finalisers && { finally: () => finalisers.map(find) }),
    ...(watched && { watched: async () => watched }),
    name,
    description: `the task ${name}`,
    commands: () => commands,
    needs: needs.map(find),
    ...(plain ? {} : { run: body }),
  });

  async function body({ $, onRunEnd, secret, signal }: TaskContext): Promise<void> {
    for (const value of secrets ?? []) secret(value);
    if (cleanup !== undefined) {
      onRunEnd(async (outcome) => {
        await $`sh -c ${`${cleanup} ${outcome}`}`;
      });
    }
    const own = explicit === undefined ? $ : $(explicit);
    for (const command of commands) await own`sh -c ${`exec ${command}`}`;
    if (behaviour === 'wait') await wait(600_000, undefined, { signal });
    if (behaviour === 'bug') throw new Error('a bug');
    if (behaviour === 'stray') setImmediate(() => Promise.reject(new Error('a stray bug')));
    if (behaviour === 'stray') await wait(600_000, undefined, { signal });
  }
}

function find(name: string): AnyTask {
  const found = declared.get(name);
  if (found === undefined) throw new Error(`declare ${name} first`);
  return found;
}
