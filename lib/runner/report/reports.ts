import { resolve } from 'node:path';
import { type Failure, toFailure, UsageError } from '../errors.ts';
import { viewOfGraph } from '../graph/view.ts';
import type { Graph } from '../node.ts';
import type { Redactor } from '../redact.ts';
import type { RunRecorder } from './recorder.ts';
import { openReportFile, pageMark } from './report-file.ts';

export { openReportFile };

type Source = { readonly recorder: RunRecorder; readonly graph: Graph; readonly redactor: Redactor };

/** The files written at the end of a run, and why some were not. */
type Written = { readonly files: readonly string[]; readonly failure: Failure | undefined };

/**
 * Returns a function that writes a run's reports at its end and never rejects. Redacts even what was recorded before
 * a secret was known. Throws UsageError if a file cannot be written or both are the same.
 */
export async function openReports(
  paths: { readonly report: string | undefined; readonly trace: string | undefined },
  source: Source,
): Promise<() => Promise<Written>> {
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
  const report =
    paths.report === undefined ? undefined : await openReportFile(paths.report, '--report', pageMark);
  const trace =
    paths.trace === undefined ? undefined : await openReportFile(paths.trace, '--trace', '{"traceEvents":');
  return async () => {
    const files: string[] = [];
    try {
      const run = source.redactor.redactAll(source.recorder.recorded());
      if (report !== undefined) {
        const { reportPage } = await import('./html.ts');
        const view = source.redactor.redactAll(viewOfGraph(source.graph));
        await report.write(await reportPage({ run, view }));
        files.push(report.path);
      }
      if (trace !== undefined) {
        const { traceOf } = await import('./trace.ts');
        await trace.write(`${JSON.stringify(traceOf(run))}\n`);
        files.push(trace.path);
      }
      return { files, failure: undefined };
    } catch (error) {
      return { files, failure: toFailure(error) };
    }
  };
}
