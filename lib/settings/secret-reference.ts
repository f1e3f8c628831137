/** A key of an environment's encrypted file. */
export type SecretKey = { readonly file: string; readonly key: string };

/** Form of a reference: a file of `secrets/` and a top-level key, except SOPS' metadata `sops`. */
export const secretForm = 'sops://FILE.yaml#/KEY, with a key of the first level';

export const secretPattern = /^sops:\/\/([\w-][\w.-]*\.yaml)#\/(?!sops$)([A-Za-z_][\w-]*)$/;

/**
 * Parses `sops://FILE#/KEY`; undefined for any other text. Allows only what vals (in helmfile) and sops read alike:
 * vals also accepts deeper paths, query parameters and escapes.
 */
export function secretKey(reference: string): SecretKey | undefined {
  const [, file, key] = secretPattern.exec(reference) ?? [];
  return file === undefined || key === undefined ? undefined : { file, key };
}
