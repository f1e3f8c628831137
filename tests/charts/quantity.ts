const units: Readonly<Record<string, number>> = {
  '': 1,
  m: 0.001,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** A Kubernetes quantity as a number: cores, bytes or a count. Throws for anything else. */
export function amount(quantity: string | number): number {
  const [, number, unit = ''] = /^([0-9.]+)(m|Ki|Mi|Gi|Ti)?$/.exec(String(quantity)) ?? [];
  if (number === undefined) throw new Error(`Expected a quantity, got \`${quantity}\``);
  return Number(number) * (units[unit] ?? 1);
}
