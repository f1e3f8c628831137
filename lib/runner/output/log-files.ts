import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackPressure } from '../back-pressure.ts';
import { TaskError } from '../errors.ts';
import type { Renderer } from '../events.ts';
import type { Graph } from '../graph.ts';
import { isEnd, taskLine } from './lines.ts';
import { createStyle } from './terminal.ts';

/** Writes the full log of each task to `<folder>/<task>.log`, for what the live view does not show. */
export async function logFiles(folder: string, graph: Graph, pressure?: BackPressure): Promise<Renderer> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw new TaskError({ what: `cannot write logs to ${folder}`, why: (error as Error).message });
  }
  const names = new Map(
    graph.nodes.map(({ id, label }) => [id, label.replace(/[^\w.=-]+/g, '_').slice(0, 100)]),
  );
  const style = createStyle(false, true);
  const files = new Map<string, WriteStream>();
  return {
    onEvent: (event) => {
      if (event.type === 'task-started') {
        const file = createWriteStream(join(folder, `${names.get(event.id)}.log`), { mode: 0o600 });
        // The folder may be gone by now: `destroy-environment` removes it. A log is never worth a failure.
        file.on('error', () => files.delete(event.id));
        files.set(event.id, file);
      }
      if (!('id' in event)) return;
      const line =
        event.type === 'task-failed' ? `failed: ${event.failure.what}` : taskLine(event, style, true);
      const file = files.get(event.id);
      if (line !== undefined && file !== undefined) {
        file.write(`${line}\n`);
        pressure?.note(file);
      }
      if (isEnd(event)) {
        files.get(event.id)?.end();
        files.delete(event.id);
      }
    },
  };
}
