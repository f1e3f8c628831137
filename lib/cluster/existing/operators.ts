import { TaskError } from '@k8s-deployment/runner';
import { kubectl, kubectlText } from '../../kubernetes/kubectl.ts';
import type { Context, Target } from '../../settings/context.ts';
import type { Settings } from '../../settings/settings.ts';
import { toolFailure } from '../../tools/tool-answer.ts';

/** An operator that the cluster must have, identified by one of its types. */
type Operator = { readonly name: string; readonly type: string; readonly setting: string };

type Values = {
  readonly kind?: unknown;
  readonly autoscaling?: { readonly enabled?: boolean; readonly kind?: string };
};

/** The operators that the releases need with these settings. */
function operatorsOf({ releases }: Settings): Operator[] {
  return Object.entries((releases ?? {}) as { readonly [release: string]: Values }).flatMap(
    ([release, { kind, autoscaling }]) => [
      ...(kind === 'cloudnative-pg'
        ? [
            {
              name: 'CloudNativePG',
              type: 'clusters.postgresql.cnpg.io',
              setting: `releases.${release}.kind`,
            },
          ]
        : []),
      ...(autoscaling?.enabled && autoscaling.kind === 'keda'
        ? [{ name: 'KEDA', type: 'scaledobjects.keda.sh', setting: `releases.${release}.autoscaling.kind` }]
        : []),
    ],
  );
}

/** The plain commands of `checkOperators`. */
export const operatorChecks = ({ environment, settings }: Target): string[] => [
  ...new Set(
    operatorsOf(settings).map(
      ({ type }) => `${kubectlText(environment)} get customresourcedefinition ${type}`,
    ),
  ),
];

/** Throws `TaskError` for a missing operator, without which helm would fail in the middle of the deployment. */
export async function checkOperators(context: Context): Promise<void> {
  const { environment, settings } = context;
  const $ = context.$({ quiet: true, nothrow: true });
  for (const { name, type, setting } of operatorsOf(settings)) {
    const found =
      await $`${kubectl(environment)} get customresourcedefinition ${type} --ignore-not-found -o name`;
    if (found.exitCode !== 0) throw toolFailure(`kubectl get customresourcedefinition ${type}`, found);
    if (found.stdout.trim() !== '') continue;
    throw new TaskError({
      what: `context \`${environment.context}\` has no ${name}, which the setting ${setting} asks for`,
      why: `the cluster has no type ${type}`,
      advice: `install ${name} in the cluster, or change the setting`,
    });
  }
}
