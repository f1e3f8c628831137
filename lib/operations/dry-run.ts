import { relative } from 'node:path';
import { certificateFiles, issuedWords } from '../certificates/files.ts';
import { providerOf } from '../cluster/providers.ts';
import { helmText, kubectlText } from '../kubernetes/kubectl.ts';
import type { InEnvironment } from '../settings/context.ts';
import { exportHomes, helmHomes } from '../settings/environment.ts';

/** The plain commands of `status`, for `--dry-run`. */
export async function statusCommands({ environment }: InEnvironment): Promise<readonly string[]> {
  const kubectl = kubectlText(environment);
  const cluster = [
    `${kubectl} version`,
    `${kubectl} get nodes`,
    `${kubectl} get pods --all-namespaces`,
    `${helmText(environment)} list --all-namespaces`,
    `${kubectl} ${issuedWords.join(' ')} -o jsonpath='{range .items[*]}{.data.tls\\.crt}{"\\n"}{end}' | while read -r certificate; do echo "$certificate" | base64 -d | openssl x509 -noout -subject -enddate; done`,
  ];
  const servers = await providerOf(environment).servers?.(environment);
  if (servers) {
    const authority = relative(environment.root, certificateFiles(environment, 'vault').authority);
    return [
      ...cluster,
      `vault status -address=${servers.settings.address} -ca-cert=${authority}`,
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
  // Not for `status`, whose dry run needs no settings.
  const { loadSettings } = await import('../settings/settings.ts');
  const { addressCommands, programTrust } = await import('../vault/api/certificate.ts');
  const { keysFileName } = await import('../vault/keys-place.ts');
  const trust = programTrust({ environment, settings: await loadSettings(environment) });
  const servers = await providerOf(environment).servers?.(environment);
  const vault = `.state/${environment.name}/vault`;
  return [
    exportHomes(environment, 'KUBECONFIG', 'KUBECACHEDIR', 'GNUPGHOME', ...helmHomes, 'KWOK_WORKDIR'),
    ...(servers ? [] : [`${kubectlText(environment)} -n vault port-forward svc/vault 8200 &`]),
    ...addressCommands(`https://127.0.0.1:${servers?.vault ?? 8200}`, trust),
    // A token helper, as `env` prints no token.
    `(umask 077; mkdir -p ${vault}; printf '#!/bin/sh\\nKEYS="%s" exec sh "%s" "$@"\\n' "$PWD/${keysFileName(environment)}" "$PWD/vault/token-helper.sh" > ${vault}/token-helper)`,
    `chmod 700 ${vault}/token-helper`,
    `printf 'token_helper = "%s"\\n' "$PWD/${vault}/token-helper" > ${vault}/cli.hcl`,
    `export VAULT_CONFIG_PATH="$PWD/${vault}/cli.hcl"`,
  ];
}
