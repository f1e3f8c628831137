import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { TaskError } from '@k8s-deployment/runner';
import type { EnvironmentContext } from '../../settings/context.ts';
import { reasonOf } from '../../tools/tool-answer.ts';

/** Words to put before a program, and the user id that owns its files. */
type Account = { readonly words: readonly string[]; readonly owner: number };

export type Program = 'initdb' | 'postgres';
type Named = { readonly uid: number; readonly gid: number };

/** A user namespace (user_namespaces(7)): needs no privileges, and outside it the user owns the files. */
const namespaceWords = ({ uid, gid }: Named): readonly string[] => [
  ...['unshare', '--user', `--map-user=${uid}`, `--map-group=${gid}`],
];

/**
 * Another user id that may enter root's folders, which contain programs and data (CAP_DAC_OVERRIDE, capabilities(7)).
 * Without the secure bit, access(2) ignores the capability, and initdb does not find its server.
 */
export const otherUserWords = ({ uid, gid }: Named): readonly string[] => [
  ...['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'],
  ...['--inh-caps=+dac_override', '--ambient-caps=+dac_override', '--securebits=+no_setuid_fixup'],
];

const isRoot = (): boolean => process.getuid?.() === 0;

/** PostgreSQL refuses root; `initdb` also refuses a user id without an account. */
const isRefused = (program: Program): boolean => isRoot() || (program === 'initdb' && !hasAccount());

/** The words for `--dry-run`, untested. */
export const plainAccount = async (program: Program): Promise<readonly string[]> =>
  isRefused(program) ? namespaceWords(await namedUser()) : [];

/** The account for a program of PostgreSQL. Throws `TaskError` if PostgreSQL refuses all possible ones. */
export async function findAccount(program: Program, $: EnvironmentContext['$']): Promise<Account> {
  const owner = process.getuid?.() ?? 0;
  if (!isRefused(program)) return { words: [], owner };
  const named = await namedUser();
  const tried: string[] = [];
  const ways = [
    { words: namespaceWords(named), owner },
    ...(isRoot() ? [{ words: otherUserWords(named), owner: named.uid }] : []),
  ];
  for (const account of ways) {
    const output = await $({ quiet: true, nothrow: true })`${account.words} true`;
    if (output.exitCode === 0) return account;
    tried.push(reasonOf(output));
  }
  throw new TaskError({
    what: `${program} does not run as ${isRoot() ? 'root' : `user id ${owner}, which has no account`}`,
    why: tried.join('\n'),
    advice: isRoot()
      ? 'run as another user, or install setpriv of util-linux (Alpine: `apk add setpriv`) and leave root its capabilities'
      : `give it an account (\`useradd --uid ${owner} …\` or a line in /etc/passwd), or allow user namespaces`,
  });
}

function hasAccount(): boolean {
  try {
    userInfo();
    return true;
  } catch {
    return false;
  }
}

/** An account other than root's; almost every machine has `nobody`. */
async function namedUser(): Promise<Named> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const accounts = text.split('\n').map((line) => {
    const [name, , uid, gid] = line.split(':');
    return { name, uid: Number(uid), gid: Number(gid) };
  });
  const others = accounts.filter(({ uid }) => uid > 0);
  return others.find(({ name }) => name === 'nobody') ?? others[0] ?? { uid: 65534, gid: 65534 };
}
