/** Maximum length of a shown value, and of its part before the first difference. */
const shownLength = 60;
const shownBefore = 20;

/** Two values, each on one line; long ones are cut around their first difference. */
export function shortValues(one: unknown, other: unknown): [string, string] {
  const texts = [textOf(one), textOf(other)] as const;
  const [first, second] = texts;
  if (texts.every((text) => text.length <= shownLength && !text.includes('\n'))) return [first, second];
  let same = 0;
  while (first !== '' && same < first.length && first[same] === second[same]) same++;
  const lineStart = first.slice(0, same).lastIndexOf('\n') + 1;
  const start = Math.max(lineStart, same > shownLength - shownBefore ? same - shownBefore : 0);
  return [cut(first, start), cut(second, start)];
}

function cut(text: string, start: number): string {
  const [line = ''] = text.slice(start, start + shownLength).split('\n');
  return `${start > 0 ? '…' : ''}${line}${start + line.length < text.length ? '…' : ''}`;
}

const textOf = (value: unknown): string =>
  typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
