/** The beginning of the patterns for ranges of addresses in the schemas of the charts. */
const rangePattern = '^((25[0-5]|';

/** A line of helm about a value that a schema refuses; of a range of addresses in words, since its pattern says nothing to anybody. */
export function readableRange(line: string): string {
  const [, place, value = '', pattern] =
    /^(- at '.*?': )'(.*)' does not match pattern '(.*)'$/.exec(line) ?? [];
  if (!pattern?.startsWith(rangePattern)) return line;
  return /^[\da-f.:]+\/0$/i.test(value)
    ? `${place}'${value}' is refused: a range for everybody`
    : `${place}'${value}' is not an IPv4 or IPv6 range`;
}
