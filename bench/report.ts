/** One line of the result. Times in milliseconds, of all repetitions. */
export type Row = {
  readonly name: string;
  /** The peer that it is compared with. */
  readonly peer: string;
  /** Null where no time is measured. */
  readonly minMs: number | null;
  readonly medianMs: number | null;
  readonly peerMinMs: number | null;
  readonly peerMedianMs: number | null;
  /** Ratio to the peer's time; for memory, MiB. */
  readonly ratio: number;
  /** Maximum ratio; null for a row that is only informational. */
  readonly limit: number | null;
  readonly unit: 'times' | 'MiB';
  /** How often each side was measured. */
  readonly runs: number;
  readonly peerRuns: number;
  /** The result in the unit of the aim: `31 ms over it, 50 allowed`. */
  readonly note: string;
};

/** A name and the milliseconds that were measured for it. */
export type Measured = { readonly name: string; readonly times: readonly number[] };

/**
 * Compares the times of a step with those of its peer. By default the ratio is that of the two minima: what else runs
 * on the machine can only make a measurement longer.
 */
export function timeRow(own: Measured, peer: Measured, limit: number | null, timeOf = least): Row {
  return {
    ...{ name: own.name, peer: peer.name },
    ...{ minMs: rounded(least(own)), medianMs: rounded(median(own)) },
    ...{ peerMinMs: rounded(least(peer)), peerMedianMs: rounded(median(peer)) },
    ratio: Number((timeOf(own) / timeOf(peer)).toFixed(3)),
    limit: limit && Number(limit.toFixed(3)),
    ...{ unit: 'times', runs: own.times.length, peerRuns: peer.times.length, note: '' },
  };
}

/** The same with a limit in milliseconds above the peer's time; the note shows the time per task. */
export function overRow(own: Measured, peer: Measured, allowedMs: number, tasks: number): Row {
  const over = least(own) - least(peer);
  const note = `${(over / tasks).toFixed(3)} ms each over it, ${allowedMs / tasks} allowed`;
  return { ...timeRow(own, peer, 1 + allowedMs / least(peer)), note };
}

/** The largest of the peaks, in MiB. */
export function memoryRow(name: string, peaksMiB: readonly number[], limit: number | null): Row {
  const none = { minMs: null, medianMs: null, peerMinMs: null, peerMedianMs: null };
  const ratio = Math.round(Math.max(...peaksMiB));
  const runs = { runs: peaksMiB.length, peerRuns: 0 };
  return { name, peer: 'MiB', ...none, ratio, limit, unit: 'MiB', ...runs, note: '' };
}

const least = ({ times }: Measured): number => Math.min(...times);

/** For an even number of times, the mean of the middle two. */
export function median({ times }: Measured): number {
  const sorted = times.toSorted((left, right) => left - right);
  const at = (place: number): number => sorted[place] ?? Number.NaN;
  return (at((sorted.length - 1) >> 1) + at(sorted.length >> 1)) / 2;
}

/** Milliseconds, with decimals where they matter. */
function rounded(ms: number): number {
  return Number(ms.toFixed(ms < 1 ? 3 : ms < 100 ? 1 : 0));
}

const head = ['what', 'compared with', 'min', 'median', "peer's min", "peer's median", 'ratio', 'limit', ''];
/** The columns between the names and the note are numbers. */
const isNumber = (column: number): boolean => column >= 2 && column < head.length - 1;

/** The rows as a Markdown table. */
export function table(rows: readonly Row[]): string {
  const body = rows.map(cells);
  const widths = head.map((_, column) =>
    Math.max(2, ...[head, ...body].map((line) => (line[column] ?? '').length)),
  );
  const line = (texts: readonly string[], fill?: string): string => {
    const padded = texts.map((text, column) =>
      isNumber(column) ? text.padStart(widths[column] ?? 0, fill) : text.padEnd(widths[column] ?? 0, fill),
    );
    return `| ${padded.join(' | ')} |`;
  };
  const rule = head.map((_, column) => (isNumber(column) ? '-:' : '-'));
  return [line(head), line(rule, '-'), ...body.map((texts) => line(texts))].join('\n');
}

function cells(row: Row): string[] {
  const times = [row.minMs, row.medianMs, row.peerMinMs, row.peerMedianMs].map(duration);
  const shown = (value: number): string => (row.unit === 'MiB' ? `${value} MiB` : value.toFixed(2));
  const verdict = row.limit === null ? '' : row.ratio <= row.limit ? 'within' : 'OVER';
  return [
    row.name,
    row.unit === 'MiB' ? '' : row.peer,
    ...times,
    shown(row.ratio),
    row.limit === null ? '' : shown(row.limit),
    [verdict, row.note].filter((text) => text !== '').join(': '),
  ];
}

function duration(ms: number | null): string {
  if (ms === null) return '';
  if (ms < 1) return `${ms.toFixed(3)} ms`;
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
