import { reasonOf, registryCall } from '../../tools/registry/call.ts';

/** A registry's answer about an image, asked without a login. */
export type RegistryAnswer =
  | { readonly kind: 'there' }
  | { readonly kind: 'absent' }
  /** A login is required; some registries, such as Docker Hub, also say so for missing images. */
  | { readonly kind: 'denied' }
  | { readonly kind: 'unknown'; readonly reason: string };

/** Milliseconds for all requests, three at most. */
const timeoutMs = 20_000;

export async function askRegistry(
  repository: string,
  version: string,
  signal: AbortSignal,
): Promise<RegistryAnswer> {
  try {
    const limit = AbortSignal.any([AbortSignal.timeout(timeoutMs), signal]);
    const { status } = await registryCall(repository)('HEAD', `manifests/${version}`, limit);
    return answerOf(status);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    return { kind: 'unknown', reason: reasonOf(error as Error) };
  }
}

function answerOf(status: number): RegistryAnswer {
  if (status === 200) return { kind: 'there' };
  if (status === 404) return { kind: 'absent' };
  if (status === 401 || status === 403) return { kind: 'denied' };
  return { kind: 'unknown', reason: `it answers ${status}` };
}
