/** A key of an encrypted file of the environment. */
export type SecretKey = { readonly file: string; readonly key: string };

/** How settings name one: a file of `secrets/` and a key of its first level, `sops` excepted, which is SOPS' own part. */
export const secretForm = 'sops://FILE.yaml#/KEY, with a key of the first level';

export const secretPattern = /^sops:\/\/([\w-][\w.-]*\.yaml)#\/(?!sops$)([A-Za-z_][\w-]*)$/;

/**
 * What `sops://FILE#/KEY` names; undefined for another text. Only what vals (in helmfile) and sops understand alike has the form:
 * vals would take a deeper path, query parameters and escapes, too.
 */
export function secretKey(reference: string): SecretKey | undefined {
  const [, file, key] = secretPattern.exec(reference) ?? [];
  return file === undefined || key === undefined ? undefined : { file, key };
}
