import type { Api } from '../../lib/cluster/embedded/api.ts';

type Answer = Awaited<ReturnType<Api['call']>>;

/** An API server without connections: `answer` is asked at each call; what it omits is a 200 without content. */
export function scriptedApi(answer: (method: string, path: string) => Partial<Answer>) {
  const calls: { method: string; path: string; body: unknown; type: unknown }[] = [];
  const api: Api = {
    call: async (method, path, body, options) => {
      calls.push({ method, path, body, type: options?.contentType });
      return { status: 200, body: {}, ...answer(method, path) };
    },
    watch: () => Promise.reject(new Error('not expected')),
  };
  return { api, calls };
}
