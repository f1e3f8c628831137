import { X509Certificate } from 'node:crypto';
import { authorityLasts, dayMs, lasts } from '../certificates/certificates.ts';
import { type Issued, issuedIn } from '../certificates/shared-authority.ts';
import { taskCommand } from '../ground/launcher.ts';
import { declaredReleases } from '../helm/helmfile.ts';
import { holds, type InNamespace, kubectlList, type WithConditions } from '../kubernetes/kubectl.ts';
import { isShared } from '../secrets/shared-file.ts';
import type { EnvironmentContext } from '../settings/context.ts';
import { loadSettings } from '../settings/settings.ts';

/* When the certificates in the cluster expire, and which task renews them. */

export type CertificateExpiry = {
  /** Name of the Secret, or of cert-manager's Certificate; `authority` for that of the environment. */
  readonly name: string;
  /** Null for the authority. */
  readonly namespace: string | null;
  /** ISO date; null if cert-manager has not issued the certificate yet. */
  readonly expires: string | null;
  /** What to do, from the time at which an install or cert-manager would renew it; null before. */
  readonly renewal: string | null;
};

/** Certificate of cert-manager (https://cert-manager.io/docs/reference/api-docs/#cert-manager.io/v1.Certificate). */
type Managed = InNamespace &
  WithConditions & { readonly status?: { readonly notAfter?: string; readonly renewalTime?: string } };

/** kubectl's arguments for cert-manager's Certificates of the releases; Ingresses pass on their labels. */
const managedWords = [
  ...['get', 'certificates.cert-manager.io', '--all-namespaces'],
  ...['--selector', 'app.kubernetes.io/part-of=k8s-deployment'],
];

/** The certificates of the environment in the cluster. Throws `TaskError` if they cannot be read. */
export async function readExpiries(
  context: EnvironmentContext,
  now = new Date(),
): Promise<readonly CertificateExpiry[]> {
  const { ingress, vault } = await loadSettings(context.environment);
  const asksCertManager = [ingress.tls, vault.tls].some(({ clusterIssuer }) => clusterIssuer !== '');
  const [issued, managed] = await Promise.all([
    issuedIn(context),
    asksCertManager ? kubectlList<Managed>(context, ...managedWords) : [],
  ]);
  return [...(await ownExpiries(context, issued, now)), ...managed.map((one) => managedExpiry(one, now))];
}

/** Those that the environment's authority signed, and the authority. */
async function ownExpiries({ environment }: EnvironmentContext, issued: readonly Issued[], now: Date) {
  const declared = await declaredReleases(environment.root);
  const authorities = new Set(issued.flatMap(({ authority }) => authority || []));
  const all = isShared(environment) ? 'install-all --replace-authority' : 'install-all';
  const term = (pem: string, isFine: typeof lasts, task: string) => {
    const certificate = new X509Certificate(pem);
    const renewal = isFine(certificate, now) ? null : `renew it with ${taskCommand(task)}`;
    return { expires: new Date(certificate.validTo).toISOString(), renewal };
  };
  return [
    ...[...authorities].map((pem) => ({
      ...{ name: 'authority', namespace: null },
      ...term(pem, authorityLasts, all),
    })),
    ...issued.map(({ certificate, namespace, secret: name, release }) => {
      const app = declared.find((one) => one.name === release)?.app;
      const task = app === undefined ? 'install-all' : `install-app ${app}`;
      return { name, namespace, ...term(certificate, lasts, task) };
    }),
  ];
}

function managedExpiry({ metadata: { name, namespace }, status }: Managed, now: Date): CertificateExpiry {
  const { notAfter = null, renewalTime, conditions } = status ?? {};
  const isLate = renewalTime !== undefined && Date.parse(renewalTime) < now.getTime();
  const advice = `cert-manager has not ${notAfter === null ? 'issued' : 'renewed'} it: kubectl -n ${namespace} describe certificate ${name}`;
  return {
    ...{ name, namespace, expires: notAfter },
    renewal: isLate || !holds(conditions, 'Ready') ? advice : null,
  };
}

/** A line for each certificate. */
export function describeExpiries(expiries: readonly CertificateExpiry[], now = new Date()): string[] {
  const names = expiries.map(({ name, namespace }) => (namespace === null ? name : `${namespace}/${name}`));
  const width = Math.max(0, ...names.map(({ length }) => length));
  return expiries.map(({ expires, renewal }, index) => {
    const days = expires === null ? undefined : Math.floor((Date.parse(expires) - now.getTime()) / dayMs);
    const left = days === undefined ? 'not issued' : days < 0 ? 'expired' : `${days} days left`;
    return `${names[index]?.padEnd(width)}  ${left}${renewal === null ? '' : `; ${renewal}`}`;
  });
}
