/** `0.4s`, `12s`, `3m12s`, `1h05m`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 10) return `${(Math.floor(milliseconds / 100) / 10).toFixed(1)}s`;
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${String(seconds % 60).padStart(2, '0')}s`;
  return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, '0')}m`;
}

/** `1 task`, `3 tasks`. */
export function count(number: number, noun: string, plural = `${noun}s`): string {
  return `${number} ${number === 1 ? noun : plural}`;
}

/** `12:01`, or `2031-05-02 12:01` if not today; local time. */
export function formatSince(time: Date, now = new Date()): string {
  // Swedish is ISO 8601: `2031-05-02 12:01:33`.
  const text = time.toLocaleString('sv').slice(0, -3);
  return time.toDateString() === now.toDateString() ? text.slice(-5) : text;
}

/** The first changes, and the number of others. */
export function listChanges(changes: readonly string[], shown = 1): string {
  const more = changes.length - shown;
  return changes.slice(0, shown).join(', ') + (more > 0 ? ` and ${count(more, 'more change')}` : '');
}
