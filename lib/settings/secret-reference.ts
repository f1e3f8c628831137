/** A key of an encrypted file of the environment. */
export type SecretKey = { readonly file: string; readonly key: string };

/** The form of a reference: a file of `secrets/` and a key of its first level, except `sops`, SOPS' metadata. */
export const secretForm = 'sops://FILE.yaml#/KEY, with a key of the first level';

export const secretPattern = /^sops:\/\/([\w-][\w.-]*\.yaml)#\/(?!sops$)([A-Za-z_][\w-]*)$/;

/**
 * The file and key of `sops://FILE#/KEY`; undefined for another text. Allows only what vals (in helmfile) and sops read the same:
 * vals would also accept deeper paths, query parameters and escapes.
 */
export function secretKey(reference: string): SecretKey | undefined {
  const [, file, key] = secretPattern.exec(reference) ?? [];
  return file === undefined || key === undefined ? undefined : { file, key };
}
