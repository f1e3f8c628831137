import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export type TokenReview = { readonly host: string; readonly close: () => Promise<void> };

/**
 * The API server call of Vault's Kubernetes auth: it accepts tokens of `serviceAccountToken`, and only
 * from the reviewer.
 */
export async function tokenReview(reviewerToken: string): Promise<TokenReview> {
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      if (request.headers.authorization !== `Bearer ${reviewerToken}`) {
        response
          .writeHead(401)
          .end('{"kind":"Status","status":"Failure","message":"Unauthorized","code":401}');
        return;
      }
      const { spec } = JSON.parse(text);
      const claims = JSON.parse(Buffer.from(spec.token.split('.')[1], 'base64url').toString());
      const user = { username: claims.sub, uid: claims['kubernetes.io'].serviceaccount.uid };
      response.writeHead(201, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({
          ...{ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview' },
          status: { authenticated: true, user, audiences: spec.audiences },
        }),
      );
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    host: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** A token in the form of `kubectl create token`, with a signature that only the review above accepts. */
export function serviceAccountToken(namespace: string, name: string, audience: string): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    ...{
      iss: 'https://kubernetes.default.svc',
      sub: `system:serviceaccount:${namespace}:${name}`,
      aud: [audience],
    },
    ...{ iat: now, nbf: now, exp: now + 3600 },
    'kubernetes.io': { namespace, serviceaccount: { name, uid: `uid-of-${name}` } },
  };
  const parts = [{ alg: 'RS256', kid: 'x' }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  return [...parts, Buffer.from('signature').toString('base64url')].join('.');
}
