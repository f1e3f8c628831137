import { relative } from 'node:path';
import { certificateFiles, issuedWords } from '../certificates/files.ts';
import { providerOf } from '../cluster/providers.ts';
import { helmText, kubectlText } from '../kubernetes/kubectl.ts';
import type { InEnvironment } from '../settings/context.ts';

/** The plain commands of `status`. Apart from status.ts, whose imports take longer than the whole dry run. */
export async function statusCommands({ environment }: InEnvironment): Promise<readonly string[]> {
  const kubectl = kubectlText(environment);
  const servers = await providerOf(environment).servers?.(environment);
  const authority = relative(environment.root, certificateFiles(environment, 'vault').authority);
  return [
    `${kubectl} version`,
    `${kubectl} get nodes`,
    `${kubectl} get pods --all-namespaces`,
    `${helmText(environment)} list --all-namespaces`,
    `${kubectl} ${issuedWords.join(' ')} -o jsonpath='{range .items[*]}{.data.tls\\.crt}{"\\n"}{end}' | while read -r certificate; do echo "$certificate" | base64 -d | openssl x509 -noout -subject -enddate; done`,
    ...(servers
      ? [
          `vault status -address=${servers.settings.address} -ca-cert=${authority}`,
          `pg_isready --host 127.0.0.1 --port ${servers.postgresql}`,
        ]
      : [
          `${kubectl} -n vault exec vault-0 -- vault status`,
          `${kubectl} -n database exec postgresql-0 -- pg_isready`,
          `${kubectl} get ingresses --all-namespaces`,
        ]),
  ];
}
