import { registryCall } from './call.ts';
import { checkDigest, digestOf } from './verified.ts';

const answerWithinMs = 30_000;

export type ImageManifest = {
  /** Of a list: one build each. */
  readonly manifests?: readonly {
    readonly digest: string;
    readonly platform?: { readonly os: string; readonly architecture: string };
  }[];
  /** Of one build: archives, the lowest first. */
  readonly layers?: readonly { readonly digest: string }[];
};

export type OpenRepository = {
  /** The manifest of a tag or digest. Throws `Error` with a reason in a few words, `TaskError` for other content than the digest's. */
  readonly manifest: (
    reference: string,
  ) => Promise<{ readonly digest: string; readonly manifest: ImageManifest }>;
  /** A layer's content, not verified yet. Throws `Error` with a reason in a few words. */
  readonly blob: (digest: string) => Promise<Response>;
};

/** Reads images out of a repository that everybody may read. */
export function openRepository(repository: string, signal: AbortSignal): OpenRepository {
  const call = registryCall(repository);
  const get = async (path: string, limit: AbortSignal): Promise<Response> => {
    const response = await call('GET', path, limit);
    if (!response.ok) throw new Error(refusal(response));
    return response;
  };
  return {
    manifest: async (reference) => {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]);
      const response = await get(`manifests/${reference}`, limit);
      const content = Buffer.from(await response.arrayBuffer());
      const digest = digestOf(content);
      if (reference.includes(':')) checkDigest(response.url, reference, digest);
      return { digest, manifest: JSON.parse(content.toString()) as ImageManifest };
    },
    blob: (digest) => get(`blobs/${digest}`, signal),
  };
}

function refusal({ status, url }: Response): string {
  const { host, pathname } = new URL(url);
  if (status === 429) return `${host} has a rate limit, which is used up for now (HTTP 429)`;
  if (status === 401) return `${host} wants a login`;
  return `${host} answered HTTP ${status} for ${pathname}`;
}
