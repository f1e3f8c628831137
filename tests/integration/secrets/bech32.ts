const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';

/** Bytes in Bech32 (BIP 173), in lower case. */
export function bech32(prefix: string, bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const data = (bits.match(/.{1,5}/g) ?? []).map((group) => Number.parseInt(group.padEnd(5, '0'), 2));
  const codes = [...prefix].map((letter) => letter.charCodeAt(0));
  const expanded = [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)];
  const rest = checksum([...expanded, ...data, 0, 0, 0, 0, 0, 0]) ^ 1;
  const check = [5, 4, 3, 2, 1, 0].map((place) => (rest >> (5 * place)) & 31);
  return `${prefix}1${[...data, ...check].map((value) => alphabet[value]).join('')}`;
}

const generator = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

const checksum = (values: readonly number[]): number =>
  values.reduce((sum, value) => {
    const next = ((sum & 0x1ffffff) << 5) ^ value;
    return generator.reduce((mixed, part, bit) => ((sum >> 25) & (1 << bit) ? mixed ^ part : mixed), next);
  }, 1);
