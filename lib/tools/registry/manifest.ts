import { registryCall } from './call.ts';
import { checkDigest, digestOf } from './verified.ts';

const answerWithinMs = 30_000;

export type ImageManifest = {
  /** Manifests by platform, in an index. */
  readonly manifests?: readonly {
    readonly digest: string;
    readonly platform?: { readonly os: string; readonly architecture: string };
  }[];
  /** Archives of an image, lowest first. */
  readonly layers?: readonly { readonly digest: string }[];
};

export type OpenRepository = {
  /** The manifest of a tag or digest. Throws `Error` with a short reason, `TaskError` for content with another digest. */
  readonly manifest: (
    reference: string,
  ) => Promise<{ readonly digest: string; readonly manifest: ImageManifest }>;
  /** A layer's unverified content. Throws `Error` with a short reason. */
  readonly blob: (digest: string) => Promise<Response>;
};

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
  if (status === 429) return `${host} limits the rate of requests (HTTP 429)`;
  if (status === 401) return `${host} requires a login`;
  return `${host} answered HTTP ${status} for ${pathname}`;
}
