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

/** How the ratio is derived from the repetitions. */
type Basis = 'min' | 'median';

/**
 * Compares the times of a step with those of its peer. By default the ratio is that of the two minima: what else runs
 * on the machine can only make a measurement longer.
 */
export function timeRow(own: Measured, peer: Measured, limit: number | null, basis: Basis = 'min'): Row {
  const [value, peerValue] = basis === 'min' ? [least(own), least(peer)] : [middle(own), middle(peer)];
  return {
    ...{ name: own.name, peer: peer.name },
    ...{ minMs: rounded(least(own)), medianMs: rounded(middle(own)) },
    ...{ peerMinMs: rounded(least(peer)), peerMedianMs: rounded(middle(peer)) },
    ratio: Number((value / peerValue).toFixed(3)),
    limit: limit === null ? null : Number(limit.toFixed(3)),
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
const middle = ({ times }: Measured): number => median(times);

/** Milliseconds, with decimals where they matter. */
function rounded(ms: number): number {
  return Number(ms.toFixed(ms < 1 ? 3 : ms < 100 ? 1 : 0));
}

/** Median; for an even number of values, the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? upper) + upper) / 2;
}

const head = ['what', 'compared with', 'min', 'median', "peer's min", "peer's median", 'ratio', 'limit', ''];
const leftAligned = 2;

/** The rows as a Markdown table. */
export function table(rows: readonly Row[]): string {
  const lines = [head, ...rows.map(cells)];
  const widths = head.map((_, column) => Math.max(2, ...lines.map((line) => (line[column] ?? '').length)));
  const line = (texts: readonly string[]): string => {
    const padded = texts.map((text, column) => {
      const width = widths[column] ?? 0;
      return column < leftAligned || column === head.length - 1 ? text.padEnd(width) : text.padStart(width);
    });
    return `| ${padded.join(' | ')} |`;
  };
  const rule = widths.map((width, column) =>
    column < leftAligned || column === head.length - 1 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  const [titles = '', ...body] = lines.map(line);
  return [titles, line(rule), ...body].join('\n');
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
