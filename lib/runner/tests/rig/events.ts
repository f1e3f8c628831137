import type { NodeSummary, RunEventBody } from '../../events.ts';
import type { OutputMode } from '../../global-options.ts';
import { createRenderer } from '../../output/renderer.ts';
import { createStyle, type Terminal } from '../../output/terminal.ts';

export type Log = Terminal & { shown: string; results: string };

export function logOf(isTerminal = false, columns = 80): Log {
  const log: Log = {
    ...{ shown: '', results: '', isTerminal, columns: () => columns, style: createStyle(false, true) },
    out: (text) => {
      log.results += text;
    },
    err: (text) => {
      log.shown += text;
    },
  };
  return log;
}

/** What is shown of these events, all of the same time. */
export function rendered(
  mode: OutputMode,
  events: readonly RunEventBody[],
  more: { nodes?: number; verbose?: boolean; env?: NodeJS.ProcessEnv; terminal?: Log; at?: number } = {},
): Log {
  const { nodes = 2, verbose = false, env = {}, terminal = logOf(false, 60), at = 0 } = more;
  const renderer = createRenderer(mode, terminal, verbose, nodes, { env, redact: (text) => text });
  for (const event of events) renderer.onEvent({ ...event, at });
  renderer.close?.();
  return terminal;
}

export function node(id: string, file = '/repository/tasks/vault.ts'): NodeSummary {
  return {
    id,
    label: id,
    name: id,
    private: false,
    needs: [],
    late: false,
    place: () => ({ file, line: 12 }),
  };
}

export const started = (...nodes: NodeSummary[]): RunEventBody => ({ type: 'run-started', nodes, jobs: 4 });

export const start = (id: string): RunEventBody => ({ type: 'task-started', id });

export const output = (id: string, line: string): RunEventBody => {
  return { type: 'task-output', id, stream: 'stdout', line };
};

export const done = (id: string, report?: 'changed', durationMs = 1200): RunEventBody => {
  return { type: 'task-done', id, report, durationMs };
};

export function failed(id: string, what = 'it broke', why?: string) {
  const failure = { what, exitCode: 3, ...(why === undefined ? {} : { why }) };
  const where = { chain: [id], lastLines: [], place: 'x.ts:1' };
  return { type: 'task-failed', id, label: id, failure, ...where, durationMs: 1200 } as const;
}
