/** Something in a file that is secret by its look. */
export type FoundKey = {
  readonly line: number;
  readonly what: string;
  /** Of an OpenPGP key: whether it is the development key can be told by it. */
  readonly armour?: string;
};

const openPgp = /-----BEGIN PGP PRIVATE KEY BLOCK-----\r?\n[\s\S]{40,}?-----END PGP PRIVATE KEY BLOCK-----/g;

// What follows the first line makes it a key, and not the mention of one.
const others: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['a private key', /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+(?:[A-Za-z-]+: .*\s+)*[A-Za-z0-9+/=]{40,}/g],
  ['an age key', /AGE-SECRET-KEY-1[0-9A-Z]{50,}/g],
  ['a token of Vault', /\bhvs\.[A-Za-z0-9_-]{24,}/g],
];

/** PEM in base64, as in a kubeconfig. */
const packed = /LS0tLS1CRUdJTi[A-Za-z0-9+/=]{60,}/g;

/** Private keys and tokens in a text, with their line from 1 up. */
export function findPrivateKeys(text: string): FoundKey[] {
  const lineOf = (index: number): number => text.slice(0, index).split('\n').length;
  const found: FoundKey[] = [];
  for (const match of text.matchAll(openPgp)) {
    found.push({ line: lineOf(match.index), what: 'a private OpenPGP key', armour: match[0] });
  }
  for (const [what, pattern] of others) {
    for (const { index } of text.matchAll(pattern)) found.push({ line: lineOf(index), what });
  }
  for (const match of text.matchAll(packed)) {
    const inside = Buffer.from(match[0], 'base64').toString();
    if (/^-----BEGIN (?:[A-Z]+ )*PRIVATE KEY/.test(inside)) {
      found.push({ line: lineOf(match.index), what: 'a private key in base64' });
    }
  }
  return found;
}

/** The same bytes without zeros: ASCII text in UTF-16, of either byte order, becomes plain ASCII. */
export const withoutZeros = (content: Buffer): Buffer =>
  content.includes(0) ? Buffer.from(content.filter((byte) => byte !== 0)) : content;
