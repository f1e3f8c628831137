import type { CheckFailure } from './run-check.ts';

/** The parts of a workload with a pod template that define its environment. */
export type Workload = {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: {
    readonly template: {
      readonly metadata?: { readonly labels?: StringMap; readonly annotations?: StringMap };
      readonly spec: {
        readonly serviceAccountName?: string;
        readonly containers: readonly Container[];
        readonly volumes?: readonly Volume[];
      };
    };
  };
};

type StringMap = { readonly [key: string]: string | undefined };

export type Container = {
  readonly name: string;
  readonly env?: readonly Variable[];
  readonly envFrom?: readonly VariableSource[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
};

export type Volume = {
  readonly name: string;
  readonly configMap?: { readonly name: string };
  readonly secret?: { readonly secretName: string };
};

type ObjectReference = { readonly name: string; readonly optional?: boolean };

type VariableSource = {
  readonly prefix?: string;
  readonly configMapRef?: ObjectReference;
  readonly secretRef?: ObjectReference;
};

type Variable = {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly secretKeyRef?: ObjectReference & { readonly key: string };
    readonly configMapKeyRef?: ObjectReference & { readonly key: string };
    readonly fieldRef?: { readonly fieldPath: string };
    readonly resourceFieldRef?: unknown;
  };
};

/** `data` of a Secret (base64) or ConfigMap (plain) from the API; undefined if the object does not exist. */
export type ObjectReader = (kind: 'Secret' | 'ConfigMap', name: string) => Promise<StringMap | undefined>;

export type PodEnvironment = {
  readonly environment: Readonly<Record<string, string>>;
  /** All reasons why the kubelet would not start the container (CreateContainerConfigError). */
  readonly failures: readonly CheckFailure[];
  /** Variables that depend on the pod or node, such as its address: not in `environment`. */
  readonly unresolved: readonly string[];
};

/**
 * The environment of a workload's first container, as the kubelet builds it (Kubernetes v1.31, pkg/kubelet/kubelet_pods.go):
 * `envFrom` in order, then `env`, with `$(NAME)` replaced by earlier values. Without the variables of Services
 * (enableServiceLinks) and of the image. Rejects only if `read` does.
 */
export async function podEnvironment(workload: Workload, read: ObjectReader): Promise<PodEnvironment> {
  const { namespace } = workload.metadata;
  const container = workload.spec.template.spec.containers[0];
  const environment = new Map<string, string>();
  const failures: CheckFailure[] = [];
  const unresolved: string[] = [];
  const objects = new Map<string, Promise<StringMap | undefined>>();

  const fail = (reason: string) => {
    const known = failures.some((failure) => failure.reason === reason);
    if (!known) failures.push({ check: 'pod environment', reason });
  };

  /** The decoded content; undefined if the object is missing, a failure unless it is optional. */
  async function content(
    kind: 'Secret' | 'ConfigMap',
    reference: ObjectReference,
  ): Promise<StringMap | undefined> {
    const key = `${kind}/${reference.name}`;
    const reading = objects.get(key) ?? read(kind, reference.name);
    objects.set(key, reading);
    const data = await reading;
    if (data === undefined && reference.optional !== true) {
      fail(`${kind.toLowerCase()} "${reference.name}" not found`);
    }
    if (data === undefined || kind === 'ConfigMap') return data;
    const decoded = Object.entries(data).map(([name, value]) => [name, decode(value ?? '')]);
    return Object.fromEntries(decoded);
  }

  async function sourceValue(variable: Variable): Promise<string | undefined> {
    const { secretKeyRef, configMapKeyRef, fieldRef, resourceFieldRef } = variable.valueFrom ?? {};
    const reference = secretKeyRef ?? configMapKeyRef;
    if (reference !== undefined) {
      const kind = secretKeyRef === undefined ? 'ConfigMap' : 'Secret';
      const data = await content(kind, reference);
      if (data === undefined) return undefined;
      const value = data[reference.key];
      if (value === undefined && reference.optional !== true) {
        fail(`couldn't find key ${reference.key} in ${kind} ${namespace}/${reference.name}`);
      }
      return value;
    }
    const value = fieldRef === undefined ? undefined : fieldValue(workload, fieldRef.fieldPath);
    if (value === undefined && (fieldRef !== undefined || resourceFieldRef !== undefined))
      unresolved.push(variable.name);
    return value ?? (variable.valueFrom === undefined ? '' : undefined);
  }

  for (const source of container?.envFrom ?? []) {
    const reference = source.secretRef ?? source.configMapRef;
    if (reference === undefined) continue;
    const data = await content(source.secretRef === undefined ? 'ConfigMap' : 'Secret', reference);
    for (const [name, value] of Object.entries(data ?? {}))
      environment.set((source.prefix ?? '') + name, value ?? '');
  }
  for (const variable of container?.env ?? []) {
    const value = variable.value ? expand(variable.value, environment) : await sourceValue(variable);
    // A missing optional source leaves a value of envFrom in place, as the kubelet does.
    if (value !== undefined) environment.set(variable.name, value);
    else if (unresolved.includes(variable.name)) environment.delete(variable.name);
  }
  return { environment: Object.fromEntries(environment), failures, unresolved };
}

function decode(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8');
}

/** Replaces `$(NAME)` by its value and `$$` by `$`; an unknown name stays. */
function expand(text: string, environment: ReadonlyMap<string, string>): string {
  return text.replace(/\$\$|\$\(([^)]*)\)/g, (match, name: string | undefined) => {
    if (name === undefined) return '$';
    return environment.get(name) ?? match;
  });
}

/** A field's value if it is the same for every pod of the workload. */
function fieldValue(workload: Workload, fieldPath: string): string | undefined {
  const { metadata, spec } = workload.spec.template;
  if (fieldPath === 'metadata.namespace') return workload.metadata.namespace;
  if (fieldPath === 'spec.serviceAccountName') return spec.serviceAccountName ?? 'default';
  const [, map, key] = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(fieldPath) ?? [];
  if (key === undefined) return undefined;
  return (map === 'labels' ? metadata?.labels : metadata?.annotations)?.[key] ?? '';
}
