import { resolve } from 'node:path';
import { toFailure, UsageError } from '../errors.ts';
import { viewOfGraph } from '../graph/view.ts';
import type { RunRequest } from '../run.ts';
import type { RunRecorder } from './recorder.ts';
import { openReportFile, pageMark } from './report-file.ts';

export { openReportFile };

/**
 * Returns a function that writes a run's reports at its end, and tells the files and why some were not written. Redacts
 * even what was recorded before a secret was known. Throws UsageError if a file cannot be written or both are the same.
 */
export async function openReports({ graph, redactor, settings }: RunRequest, recorder: RunRecorder) {
  const [page, slices] = [settings.report, settings.trace];
  if (page !== undefined && slices !== undefined && resolve(page) === resolve(slices)) {
    throw new UsageError({
      what: `\`--report\` and \`--trace\` both name \`${page}\``,
      why: 'one would overwrite the other',
      advice: 'give each a file of its own',
    });
  }
  const report = page === undefined ? undefined : await openReportFile(page, '--report', pageMark);
  const trace = slices === undefined ? undefined : await openReportFile(slices, '--trace', '{"traceEvents":');
  return async () => {
    const files: string[] = [];
    try {
      const run = redactor.redactAll(recorder.recorded());
      if (report !== undefined) {
        const { reportPage } = await import('./html.ts');
        const view = redactor.redactAll(viewOfGraph(graph));
        await report.write(await reportPage(run, view));
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
