import { registryCall } from './call.ts';
import { checkDigest, digestOf } from './verified.ts';

const answerWithinMs = 30_000;

export type ImageManifest = {
  /** A list of builds. */
  readonly manifests?: readonly {
    readonly digest: string;
    readonly platform?: { readonly os: string; readonly architecture: string };
  }[];
  /** The archives of one build, lowest first. */
  readonly layers?: readonly { readonly digest: string }[];
};

export type OpenRepository = {
  /** The manifest of a tag or digest. Throws `Error` with a short reason, `TaskError` if the content has another digest. */
  readonly manifest: (
    reference: string,
  ) => Promise<{ readonly digest: string; readonly manifest: ImageManifest }>;
  /** A layer's content, not verified yet. Throws `Error` with a short reason. */
  readonly blob: (digest: string) => Promise<Response>;
};

/** Reads images from a public repository. */
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
