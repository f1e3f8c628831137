/**
 * Forms of a value to search for: plain, percent-encoded as in a URL, and inside longer base64 text, where it looks
 * different at each of three offsets.
 */
export function secretForms(value: string): { readonly name: string; readonly text: string }[] {
  const bytes = Buffer.from(value);
  const encoded = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
    // Only characters that the value alone determines.
    return text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
  });
  const percent = encodeURIComponent(value);
  return [
    { name: 'as it is', text: value },
    ...encoded.map((text) => ({ name: 'base64', text })),
    ...(percent === value ? [] : [{ name: 'percent-encoded', text: percent }]),
  ];
}

/** What `git grep` can look for: it takes each line for a text of its own. */
export const longestLine = (text: string): string =>
  text.split('\n').reduce((longest, line) => (line.length > longest.length ? line : longest));

/** Shorter values are common words. */
export const shortestSecret = 10;

/** A private key or token, recognised by its format. */
type FoundKey = {
  /** From 1. */
  readonly line: number;
  readonly what: string;
  /** Of an OpenPGP key, possibly the development key. */
  readonly armour?: string;
};

const openPgp = /-----BEGIN PGP PRIVATE KEY BLOCK-----\r?\n[\s\S]{40,}?-----END PGP PRIVATE KEY BLOCK-----/g;

// The text after the first line distinguishes a key from a mention of one.
const others: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['a private key', /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+(?:[A-Za-z-]+: .*\s+)*[A-Za-z0-9+/=]{40,}/g],
  ['an age key', /AGE-SECRET-KEY-1[0-9A-Z]{50,}/g],
  ['a token of Vault', /\bhvs\.[A-Za-z0-9_-]{24,}/g],
];

/** PEM in base64, as in a kubeconfig. */
const packed = /LS0tLS1CRUdJTi[A-Za-z0-9+/=]{60,}/g;

/** Each text with a key or token has one of these. */
export const keyMarks = [
  'PRIVATE KEY-----',
  'PRIVATE KEY BLOCK-----',
  'AGE-SECRET-KEY-1',
  'hvs.',
  'LS0tLS1CRUdJTi',
];

/** Finds private keys and tokens in a text. */
export function findPrivateKeys(text: string): FoundKey[] {
  const find = (pattern: RegExp) =>
    [...text.matchAll(pattern)].map(({ 0: found, index }) => ({
      found,
      line: text.slice(0, index).split('\n').length,
    }));
  const isKey = ({ found }: { readonly found: string }) =>
    /^-----BEGIN (?:[A-Z]+ )*PRIVATE KEY/.test(Buffer.from(found, 'base64').toString());
  return [
    ...find(openPgp).map(({ line, found }) => ({ line, what: 'a private OpenPGP key', armour: found })),
    ...others.flatMap(([what, pattern]) => find(pattern).map(({ line }) => ({ line, what }))),
    ...find(packed)
      .filter(isKey)
      .map(({ line }) => ({ line, what: 'a private key in base64' })),
  ];
}
