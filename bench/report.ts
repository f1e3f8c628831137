/** One line of the result. Times in milliseconds, of all repetitions. */
export type Row = {
  readonly name: string;
  /** What it is compared with. */
  readonly peer: string;
  /** Null where no time is measured. */
  readonly minMs: number | null;
  readonly medianMs: number | null;
  readonly peerMinMs: number | null;
  readonly peerMedianMs: number | null;
  /** Of the two minima; what else runs on the machine can only make a measurement longer. For memory: MiB. */
  readonly ratio: number;
  readonly limit: number;
};

/** Compares the times of a step with those of its peer. */
export function timeRow(
  name: string,
  times: readonly number[],
  peer: string,
  peerTimes: readonly number[],
  limit: number,
): Row {
  const minMs = Math.min(...times);
  const peerMinMs = Math.min(...peerTimes);
  return {
    ...{ name, peer, minMs: Math.round(minMs), medianMs: Math.round(median(times)) },
    ...{ peerMinMs: Math.round(peerMinMs), peerMedianMs: Math.round(median(peerTimes)) },
    ratio: Number((minMs / peerMinMs).toFixed(3)),
    limit,
  };
}

/** The largest of the peaks, in MiB. */
export function memoryRow(name: string, peaksMiB: readonly number[], limit: number): Row {
  const none = { minMs: null, medianMs: null, peerMinMs: null, peerMedianMs: null };
  return { name, peer: 'MiB', ...none, ratio: Math.round(Math.max(...peaksMiB)), limit };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

const seconds = (ms: number | null): string => (ms === null ? '' : `${(ms / 1000).toFixed(2)} s`);

/** The rows as a table for a person. */
export function table(rows: readonly Row[]): string {
  const head = [
    'step',
    'compared with',
    'min',
    'median',
    "peer's min",
    "peer's median",
    'ratio',
    'limit',
    '',
  ];
  const cells = rows.map((row) => {
    const isMemory = row.minMs === null;
    const times = [row.minMs, row.medianMs, row.peerMinMs, row.peerMedianMs].map(seconds);
    const ratio = isMemory ? `${row.ratio} MiB` : row.ratio.toFixed(2);
    const limit = isMemory ? `${row.limit} MiB` : row.limit.toFixed(2);
    const verdict = row.ratio <= row.limit ? 'within' : 'OVER';
    return [row.name, isMemory ? '' : row.peer, ...times, ratio, limit, verdict];
  });
  const lines = [head, ...cells];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
