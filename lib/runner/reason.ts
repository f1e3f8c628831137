/** The trace of a Go program that crashed, which says nothing to its users; and how the lines before it begin. */
const trace = /^(?:goroutine \d+ |runtime stack:)/m;
const crash = /^(?:panic|fatal error|runtime|SIG[A-Z]+): .*/m;

/** Why a program failed, of what it wrote to stderr: the last line that has words in it; of a crash in Go the first line about it. */
export function reasonIn(text: string): string | undefined {
  const start = text.search(trace);
  const crashed = start < 0 ? undefined : crash.exec(text.slice(0, start))?.[0];
  // Some programs end with the border of a box.
  return (crashed ?? text.split(/[\r\n]+/).findLast((line) => /[\p{L}\d]/u.test(line)))?.trim();
}
