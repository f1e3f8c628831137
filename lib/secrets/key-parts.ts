/** A key or subkey, as gpg lists it. */
type KeyPart = {
  readonly fingerprint: string;
  /** The end of the fingerprint. */
  readonly id: string;
  /** True if it was created to encrypt, even if it has expired. */
  readonly encrypts: boolean;
  readonly state: 'usable' | 'expired' | 'revoked' | 'disabled' | 'invalid';
  /** Undefined if it never expires. */
  readonly expires: Date | undefined;
};

export type OpenPgpKey = {
  /** Fingerprint of the key itself. */
  readonly fingerprint: string;
  readonly isPrivate: boolean;
  /** The key itself first. */
  readonly parts: readonly KeyPart[];
};

const states: { readonly [letter: string]: KeyPart['state'] } = {
  e: 'expired',
  r: 'revoked',
  d: 'disabled',
  i: 'invalid',
};

/** A key or part, and the fingerprint in a record after it (GnuPG: doc/DETAILS, "Format of the colon listings"). */
const record = /^(pub|sec|sub|ssb):(.*)\n(?:(?!pub:|sec:|sub:|ssb:|fpr:).*\n)*fpr:+([0-9A-F]+):/gm;

/** Parses the keys in a listing of `gpg --with-colons`. */
export function keysIn(listing: string): OpenPgpKey[] {
  const keys: { fingerprint: string; isPrivate: boolean; parts: KeyPart[] }[] = [];
  for (const [, kind = '', fields = '', fingerprint = ''] of listing.matchAll(record)) {
    const [validity = '', , , id = '', , expires = '', , , , , uses = ''] = fields.split(':');
    if (kind === 'pub' || kind === 'sec') keys.push({ fingerprint, isPrivate: kind === 'sec', parts: [] });
    keys.at(-1)?.parts.push({
      fingerprint,
      id,
      encrypts: uses.includes('e'),
      state: uses.includes('D') ? 'disabled' : (states[validity] ?? 'usable'),
      expires: expires === '' ? undefined : new Date(Number(expires) * 1000),
    });
  }
  return keys;
}

const stateText = (what: string, { state, expires }: KeyPart): string => {
  if (state === 'expired')
    return `${what} expired${expires === undefined ? '' : ` on ${expires.toISOString().slice(0, 10)}`}`;
  return state === 'revoked' ? `${what} was revoked` : `${what} is ${state}`;
};

/** Why the key cannot encrypt, such as `the key expired on 2021-01-01`; undefined if it can. */
export function encryptionProblem({ parts: [key, ...others] }: OpenPgpKey): string | undefined {
  if (key === undefined) return 'the key has no parts';
  if (key.state !== 'usable') return stateText('the key', key);
  const able = [key, ...others].filter(({ encrypts }) => encrypts);
  if (able.some(({ state }) => state === 'usable')) return undefined;
  const last = able.at(-1);
  return last === undefined
    ? 'no part of the key encrypts: it only signs'
    : stateText('its part that encrypts', last);
}
