import { providerOf } from '../cluster/providers.ts';
import { helmText, kubectlText } from '../kubernetes/kubectl.ts';
import type { InEnvironment } from '../settings/context.ts';
import { exportHomes, helmHomes } from '../settings/environment.ts';
import { tokenCommand } from '../vault/api/dry-run.ts';

/** The plain commands of `status`, for `--dry-run`. */
export async function statusCommands({ environment }: InEnvironment): Promise<readonly string[]> {
  const kubectl = kubectlText(environment);
  const cluster = [
    `${kubectl} version`,
    `${kubectl} get nodes`,
    `${helmText(environment)} list --all-namespaces`,
  ];
  const servers = await providerOf(environment).servers?.(environment);
  if (servers) {
    return [
      ...cluster,
      `vault status -address=http://127.0.0.1:${servers.vault}`,
      `pg_isready --host 127.0.0.1 --port ${servers.postgresql}`,
    ];
  }
  return [
    ...cluster,
    `${kubectl} -n vault exec vault-0 -- vault status`,
    `${kubectl} -n database exec postgresql-0 -- pg_isready`,
    `${kubectl} get ingresses --all-namespaces`,
  ];
}

/** The plain commands of `env`, for `--dry-run`. */
export async function environmentCommands({ environment }: InEnvironment): Promise<readonly string[]> {
  const servers = await providerOf(environment).servers?.(environment);
  return [
    exportHomes(environment, 'KUBECONFIG', 'KUBECACHEDIR', 'GNUPGHOME', ...helmHomes, 'KWOK_WORKDIR'),
    ...(servers ? [] : [`${kubectlText(environment)} -n vault port-forward svc/vault 8200 &`]),
    `export VAULT_ADDR=http://127.0.0.1:${servers?.vault ?? 8200}`,
    tokenCommand(`.state/${environment.name}/vault/keys.json`),
  ];
}
