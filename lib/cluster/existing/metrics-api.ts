import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TaskError } from '@k8s-deployment/runner';
import { textIfThere } from '../../ground/if-there.ts';
import { declaredReleases, isLeftOut } from '../../helm/helmfile.ts';
import { holds, kubectlList, kubectlText, type WithConditions } from '../../kubernetes/kubectl.ts';
import type { Context, InEnvironment, Target } from '../../settings/context.ts';
import { writeWhole } from '../../settings/environment.ts';
import { releaseValues } from '../../settings/settings.ts';
import { recordFile } from './existing.ts';

const name = 'v1beta1.metrics.k8s.io';

/** The plain command of `adaptToMetricsApi`. */
export const metricsApiCheck = ({ environment }: InEnvironment): string =>
  `${kubectlText(environment)} get apiservices ${name} --ignore-not-found`;

/**
 * Leaves the release metrics-server out if the cluster has a metrics API of its own, as GKE, AKS and k3s do: records
 * that as a settings file of the environment. True if metrics-server is left out. Throws `TaskError` if autoscalers
 * would get no metrics.
 */
export async function adaptToMetricsApi(context: Context): Promise<boolean> {
  const { environment, settings } = context;
  const record = join(environment.state, recordFile);
  const services = await kubectlList<WithConditions>(context, 'get', 'apiservices');
  const found = services.find(({ metadata }) => metadata.name === name);
  const { annotations = {} } = found?.metadata ?? {};
  const isOurs =
    annotations['meta.helm.sh/release-name'] === 'metrics-server' &&
    annotations['meta.helm.sh/release-namespace'] === 'core';
  if (found === undefined || isOurs) {
    const wasRecorded = (await textIfThere(record)) !== undefined;
    await rm(record, { force: true });
    if (wasRecorded || !isLeftOut(settings, 'metrics-server')) return false;
    if (found === undefined) await checkAutoscalers(context);
    return true;
  }
  if (!holds(found.status?.conditions, 'Available'))
    throw new TaskError({
      what: `the cluster has a metrics API (${name}) that does not answer`,
      why:
        found.status?.conditions?.find(({ type }) => type === 'Available')?.message ??
        'its APIService is not Available',
      advice: `repair it, or delete it if nothing serves it any more (kubectl delete apiservice ${name}), and run again`,
    });
  context.log('the cluster has a metrics API of its own: the release metrics-server is left out');
  await writeWhole(
    record,
    '# What create-k8s found in the cluster.\nreleases: { metrics-server: { installed: false } }\n',
  );
  return true;
}

async function checkAutoscalers({ environment, settings }: Target): Promise<void> {
  type Values = { readonly autoscaling?: { readonly enabled?: boolean; readonly kind?: string } };
  const scaled = (await declaredReleases(environment.root)).find((release) => {
    const { autoscaling }: Values = releaseValues(settings, release);
    return autoscaling?.enabled && autoscaling.kind !== 'keda';
  });
  if (scaled === undefined) return;
  throw new TaskError({
    what: 'releases.metrics-server.installed is false, and the cluster has no metrics API',
    why: `the autoscaler of ${scaled.name} needs ${name}`,
    advice: 'remove that setting, or install another metrics API in the cluster',
  });
}
