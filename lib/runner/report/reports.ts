import { resolve } from 'node:path';
import { countDependents } from '../dependency-order.ts';
import { type Failure, TaskError, toFailure, UsageError } from '../errors.ts';
import { viewOfGraph } from '../graph/view.ts';
import type { Graph } from '../node.ts';
import type { Redactor } from '../redact.ts';
import type { RecordedRun } from './recorded-run.ts';
import type { RunRecorder } from './recorder.ts';
import { openReportFile, type ReportFile } from './report-file.ts';

type Source = { readonly recorder: RunRecorder; readonly graph: Graph; readonly redactor: Redactor };

/** The files that a run shall leave behind, known to be writable. */
export class Reports {
  readonly #report: ReportFile | undefined;
  readonly #trace: ReportFile | undefined;
  readonly #source: Source;

  private constructor(report: ReportFile | undefined, trace: ReportFile | undefined, source: Source) {
    this.#report = report;
    this.#trace = trace;
    this.#source = source;
  }

  /** Throws UsageError when one of the files cannot be written, or both are the same. */
  static async open(
    paths: { readonly report: string | undefined; readonly trace: string | undefined },
    source: Source,
  ): Promise<Reports> {
    if (
      paths.report !== undefined &&
      paths.trace !== undefined &&
      resolve(paths.report) === resolve(paths.trace)
    ) {
      throw new UsageError({
        what: `\`--report\` and \`--trace\` both name \`${paths.report}\``,
        why: 'one would overwrite the other',
        advice: 'give each a file of its own',
      });
    }
    const [report, trace] = [
      paths.report === undefined ? undefined : await openReportFile(paths.report, '--report'),
      paths.trace === undefined ? undefined : await openReportFile(paths.trace, '--trace'),
    ];
    return new Reports(report, trace, source);
  }

  /**
   * Writes what was asked for, once the run is over; never rejects. Secrets are hidden also in what was recorded before
   * the run knew them.
   */
  async write(): Promise<{ readonly files: readonly string[]; readonly failure: Failure | undefined }> {
    const files: string[] = [];
    try {
      const run = this.#source.redactor.redactAll(this.#source.recorder.recorded());
      if (this.#report !== undefined) files.push(await save(this.#report, await this.#page(run)));
      if (this.#trace !== undefined) {
        const { traceOf } = await import('./trace.ts');
        files.push(await save(this.#trace, `${JSON.stringify(traceOf(run))}\n`));
      }
      return { files, failure: undefined };
    } catch (error) {
      return { files, failure: toFailure(error) };
    }
  }

  async #page(run: RecordedRun): Promise<string> {
    const { graph, redactor } = this.#source;
    const view = viewOfGraph(graph);
    const dependents = countDependents(graph.nodes);
    const { reportPage } = await import('./html.ts');
    return await reportPage({
      run,
      view: redactor.redactAll(view),
      nodeIds: view.nodes.map(({ id }) => id),
      priorities: graph.nodes.map((node) => dependents.get(node) ?? 0),
    });
  }
}

async function save(file: ReportFile, text: string): Promise<string> {
  try {
    await file.write(text);
    return file.path;
  } catch (error) {
    throw new TaskError({ what: `cannot write \`${file.path}\``, why: (error as Error).message });
  }
}
