import { providerOf } from '../cluster/providers.ts';
import { authorityFile } from '../database/certificate.ts';
import { type LoginRole, loginRoles, selectRoles } from '../database/roles.ts';
import { takeBack } from '../helm/helm.ts';
import { atOnce, helmfileText } from '../helm/helmfile.ts';
import { kubectlText } from '../kubernetes/kubectl.ts';
import { decryptText, secretsFile } from '../secrets/encrypted-file.ts';
import type { Target } from '../settings/context.ts';
import { exportHomes } from '../settings/environment.ts';
import { vaultLoginCommands } from '../vault/dry-run.ts';
import { consumerSecrets } from './consumers.ts';

/** Plain commands of a rotation, for `--dry-run`. Passwords are passed by variables and stdin, never as arguments. */
export async function rotationCommands(target: Target, name: string): Promise<readonly string[]> {
  const { environment, settings } = target;
  const roles = loginRoles(settings);
  const superuser = roles[0] as LoginRole;
  const selected = selectRoles(roles, name);
  const servers = await providerOf(environment).servers?.(environment);
  const port = servers?.postgresql ?? settings.database.port;
  const kubectl = kubectlText(environment);
  // For each psql, since `<(…)`, the certificate of another issuer, ends with its command.
  const psql = `PGSSLROOTCERT=${authorityFile(target)} psql --port ${port} --username ${superuser.name} --dbname ${superuser.database}`;
  // The superuser's comes last: until then its old password works for all of them.
  const ordered = [...roles.slice(1), superuser].filter((role) => selected.includes(role));
  const names = ordered.map((role) => role.name);
  const secrets = consumerSecrets(settings, names);
  return [
    exportHomes(environment, 'GNUPGHOME'),
    ...(servers ? [] : [`${kubectl} -n database port-forward svc/postgresql ${port} &`]),
    // The certificate is checked against the name; the forwarded port is at the address.
    `export PGHOST=${settings.database.host} PGHOSTADDR=127.0.0.1 PGSSLMODE=verify-full`,
    `export PGPASSWORD="$(${decryptText(environment.name, superuser.secret)})"`,
    ...ordered.flatMap((role) => {
      const file = secretsFile(environment.name, role.secret.file);
      return [
        `openssl rand -hex 16 | sed 's/.*/"&"/' | sops set --value-stdin ${file} '["${role.secret.key}"]'`,
        `${decryptText(environment.name, role.secret)} | sed "s/.*/ALTER ROLE \\"${role.name}\\" PASSWORD '&'/" | ${psql}`,
      ];
    }),
    ...(await vaultLoginCommands(target)),
    await helmfileText(
      target,
      '-l',
      'app=postgresql',
      'sync',
      ...atOnce,
      '--sync-args',
      takeBack.join(' '),
      '--include-transitive-needs',
    ),
    ...secrets.map(
      ({ name: secret, namespace }) =>
        `# Reloader restarts what names ${secret}; where it does not: ${kubectl} -n ${namespace} rollout restart deployment …`,
    ),
    ...(secrets.length > 0 ? [await helmfileText(target, '-l', 'tier=apps', 'test', ...atOnce)] : []),
  ];
}
