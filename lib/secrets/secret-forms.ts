/** A way in which a secret may stand in a text. */
export type SecretForm = { readonly name: 'as it is' | 'base64' | 'percent-encoded'; readonly text: string };

/**
 * The forms in which a value would be recognised: itself, percent-encoded as in an address, and as a part of something longer
 * in base64, where it looks different for each of the three places at which it may begin.
 */
export function secretForms(value: string): SecretForm[] {
  const bytes = Buffer.from(value);
  const encoded = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
    // Only the letters that nothing but the value decides.
    return text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
  });
  const percent = encodeURIComponent(value);
  return [
    { name: 'as it is', text: value },
    ...encoded.map((text) => ({ name: 'base64', text }) as const),
    ...(percent === value ? [] : [{ name: 'percent-encoded', text: percent } as const]),
  ];
}

/** Shorter values are words that stand in many files. */
export const shortestSecret = 10;
