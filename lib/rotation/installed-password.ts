import { kubectlList } from '../kubernetes/kubectl.ts';
import type { EnvironmentContext } from '../settings/context.ts';

/** The superuser's password of the last install, which the release keeps in a Secret; undefined where there is none. */
export async function installedPassword(context: EnvironmentContext): Promise<string | undefined> {
  type Secret = { readonly data?: { readonly password?: string } };
  // As a list, which is empty where there is none.
  const name = 'metadata.name=postgresql-superuser';
  const words = ['get', 'secrets', '-n', 'database', '--field-selector', name] as const;
  const { items } = await kubectlList<{ readonly items: readonly Secret[] }>(context, ...words);
  const encoded = items[0]?.data?.password;
  if (encoded === undefined) return undefined;
  const password = Buffer.from(encoded, 'base64').toString();
  context.secret(password);
  return password;
}
