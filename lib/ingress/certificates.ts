import { readFile } from 'node:fs/promises';
import { certificateCommands, ensureCertificate } from '../certificates/certificates.ts';
import type { Release } from '../helm/helmfile.ts';
import { applyObjects, kubectl, kubectlList, kubectlText, type WithData } from '../kubernetes/kubectl.ts';
import type { Context, EnvironmentContext, Outcome, Settings, Target } from '../settings/context.ts';

const namespace = 'frontend';

/** True if the environment's own authority signs the certificates of the routes. */
export function ownCertificates({ ingress }: Pick<Settings, 'ingress'>): boolean {
  const { enabled, existingSecret, clusterIssuer } = ingress.tls;
  return ingress.controller !== 'none' && enabled && existingSecret === '' && clusterIssuer === '';
}

export const isFront = ({ name }: Pick<Release, 'name'>): boolean => name.endsWith('-front');

const secretOf = (release: string): string => `${release}-tls`;

const requestOf = ({ environment, settings: { domain } }: Target, release: string) => ({
  name: release,
  hosts: [`${release}.${environment.name}.${domain}`],
});

const labelsOf = (release: string) => ({
  'app.kubernetes.io/instance': release,
  'app.kubernetes.io/component': 'certificate',
  'app.kubernetes.io/part-of': 'k8s-deployment',
});

/** Secrets with the certificates of the fronts among these releases, created or renewed if needed. */
export async function routeSecrets(context: Context, releases: readonly Release[]) {
  if (!ownCertificates(context.settings)) return [];
  return Promise.all(
    releases.filter(isFront).map(async ({ name }) => {
      const files = await ensureCertificate(context, requestOf(context, name));
      const [certificate = '', key = ''] = await Promise.all(
        [files.certificate, files.key].map((file) => readFile(file, 'base64')),
      );
      context.secret(key);
      return {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: secretOf(name), namespace, labels: labelsOf(name) },
        type: 'kubernetes.io/tls',
        data: { 'tls.crt': certificate, 'tls.key': key },
      };
    }),
  );
}

/**
 * Creates or renews the certificates of the fronts among these releases in the cluster. Not as helm values, which helm
 * would store; the keys reach the API server on stdin.
 */
export async function ensureRouteCertificates(
  context: Context,
  releases: readonly Release[],
): Promise<Outcome> {
  const wanted = await routeSecrets(context, releases);
  if (wanted.length === 0) return 'unchanged';
  const words = ['-n', namespace, 'get', 'secrets', '-l', 'app.kubernetes.io/component=certificate'];
  const existing = await kubectlList<WithData>(context, ...words);
  const differing = wanted.filter(({ metadata: { name }, data }) => {
    const found = existing.find(({ metadata }) => metadata.name === name);
    return found?.data?.['tls.crt'] !== data['tls.crt'] || found?.data?.['tls.key'] !== data['tls.key'];
  });
  if (differing.length === 0) return 'unchanged';
  // Client-side apply would store the key a second time, in an annotation.
  await applyObjects(context, differing, '--force-conflicts');
  const fronts = differing.map(({ metadata }) => metadata.labels['app.kubernetes.io/instance']);
  context.log(`installed the certificates of ${fronts.join(', ')}`);
  return 'changed';
}

/** The same as plain commands. */
export function routeCertificateCommands(target: Target, releases: readonly Release[]): readonly string[] {
  const { environment, settings } = target;
  if (!ownCertificates(settings)) return [];
  const files = `.state/${environment.name}/certificates`;
  const kubectl = kubectlText(environment);
  const apply = `${kubectl} apply --server-side --force-conflicts -f -`;
  return releases.filter(isFront).flatMap(({ name }) => {
    const options = `--cert ${files}/${name}.crt --key ${files}/${name}.key --dry-run=client -o yaml`;
    return [
      ...certificateCommands(environment, requestOf(target, name)),
      `${kubectl} -n ${namespace} create secret tls ${secretOf(name)} ${options} | ${apply}`,
    ];
  });
}

/** Removes fronts' certificates from the cluster; the local files stay for the next install. */
export async function removeRouteCertificates(context: EnvironmentContext, releases: readonly Release[]) {
  const { $, environment } = context;
  const names = releases.filter(isFront).map(({ name }) => secretOf(name));
  if (names.length === 0) return;
  const words = ['-n', namespace, 'delete', 'secret', ...names, '--ignore-not-found'];
  await $({ quiet: true })`${kubectl(environment)} ${words}`;
}
