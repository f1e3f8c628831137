import type { VaultClient } from './client.ts';
import type { AuthMount, Role } from './state-schema.ts';
import { differingNames, isRecorded, recordSecret, type VaultObject, type Written } from './vault-object.ts';

/** Vault's access to the API server that checks ServiceAccount tokens. */
export type KubernetesAccess = {
  /** `https://kubernetes.default.svc` for a Vault in a pod. */
  readonly host: string;
  /** PEM. Undefined for a Vault in a pod, which uses its own ServiceAccount's. */
  readonly caCertificate?: string;
  /** Token of a ServiceAccount bound to `system:auth-delegator`. Undefined for a Vault in a pod, which uses its own. */
  readonly reviewer?: string;
};

/** The address, certificate and reviewer token of a Kubernetes auth method. `record`: see `recordSecret`. */
export function kubernetesConfig(
  client: VaultClient,
  mount: AuthMount,
  { host, caCertificate = '', reviewer = '' }: KubernetesAccess,
  record: string,
): VaultObject {
  const path = `auth/${mount.path}/config`;
  const certificate = caCertificate.trim();
  // Outside a pod there are no ServiceAccount files.
  const isOutside = reviewer !== '';
  return {
    kind: 'auth config',
    path,
    find: () => client.read(path),
    compare: async (found) => {
      const recorded = !isOutside || (await isRecorded(record, path, reviewer));
      return differingNames([
        ['kubernetes_host', found.kubernetes_host, host],
        ['kubernetes_ca_cert', String(found.kubernetes_ca_cert ?? '').trim(), certificate],
        ['disable_local_ca_jwt', found.disable_local_ca_jwt === true, isOutside],
        ['token_reviewer_jwt', found.token_reviewer_jwt_set === true && recorded, isOutside],
      ]);
    },
    write: async () => {
      const values = { kubernetes_host: host, kubernetes_ca_cert: certificate };
      const own = { token_reviewer_jwt: reviewer, disable_local_ca_jwt: isOutside };
      await client.write(path, { ...values, ...own }, { secrets: [reviewer] });
      if (isOutside) await recordSecret(record, path, reviewer);
    },
  };
}

/** A role: the ServiceAccounts that may log in, and their policies. */
export const roleOf = (mount: AuthMount, role: Role): Written => ({
  path: `auth/${mount.path}/role/${role.name}`,
  values: {
    bound_service_account_names: role.serviceAccounts,
    bound_service_account_namespaces: role.namespaces,
    audience: role.audience,
    token_policies: role.policies,
    // Vault's policy `default` allows more than these accounts need.
    token_no_default_policy: true,
    token_ttl: role.ttl,
  },
});
