import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export type TokenReview = { readonly host: string; readonly close: () => void };

/**
 * The API server call of Vault's Kubernetes auth: it accepts tokens of `serviceAccountToken`, and only
 * from the reviewer.
 */
export async function tokenReview(reviewerToken: string): Promise<TokenReview> {
  const server = createServer(async (request, response) => {
    const { spec } = JSON.parse(await text(request));
    if (request.headers.authorization !== `Bearer ${reviewerToken}`) {
      const status = { kind: 'Status', status: 'Failure', message: 'Unauthorized', code: 401 };
      response.writeHead(401).end(JSON.stringify(status));
      return;
    }
    const claims = JSON.parse(Buffer.from(spec.token.split('.')[1], 'base64url').toString());
    const user = { username: claims.sub, uid: claims['kubernetes.io'].serviceaccount.uid };
    response.writeHead(201, { 'content-type': 'application/json' }).end(
      JSON.stringify({
        ...{ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview' },
        status: { authenticated: true, user, audiences: spec.audiences },
      }),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** A token in the form of `kubectl create token`, with a signature that only the review above accepts. */
export function serviceAccountToken(namespace: string, name: string, audience: string): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    ...{ iss: 'https://kubernetes.default.svc', sub: `system:serviceaccount:${namespace}:${name}` },
    ...{ aud: [audience], iat: now, nbf: now, exp: now + 3600 },
    'kubernetes.io': { namespace, serviceaccount: { name, uid: `uid-of-${name}` } },
  };
  const parts = [{ alg: 'RS256', kid: 'x' }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  return [...parts, Buffer.from('signature').toString('base64url')].join('.');
}
