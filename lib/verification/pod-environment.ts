/** The parts of a workload that define its pods' environment. */
export type Workload = {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: {
    readonly template: {
      readonly spec: {
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
type KeyReference = ObjectReference & { readonly key: string };

type VariableSource = {
  readonly prefix?: string;
  readonly configMapRef?: ObjectReference;
  readonly secretRef?: ObjectReference;
};

type Variable = {
  readonly name: string;
  readonly value?: string;
  /** Other sources, such as `fieldRef`, depend on the pod or node. */
  readonly valueFrom?: { readonly secretKeyRef?: KeyReference; readonly configMapKeyRef?: KeyReference };
};

/** `data` of a Secret (base64) or ConfigMap (plain); undefined if the object does not exist. */
export type ObjectReader = (kind: 'Secret' | 'ConfigMap', name: string) => Promise<StringMap | undefined>;

/**
 * The environment of a workload's first container, built as the kubelet does (Kubernetes v1.31,
 * pkg/kubelet/kubelet_pods.go): `envFrom` in order, then `env`, with `$(NAME)` replaced by earlier values. Omits
 * variables of Services (enableServiceLinks), the image, the pod and the node. Failures are reasons why the kubelet would
 * not start the container (CreateContainerConfigError). Rejects only if `read` does.
 */
export async function podEnvironment(workload: Workload, read: ObjectReader) {
  const { envFrom = [], env = [] } = workload.spec.template.spec.containers[0] ?? {};
  const environment = new Map<string, string>();
  const failures = new Set<string>();
  const objects = new Map<string, Promise<StringMap | undefined>>();

  /** Decoded content; undefined if the object is missing, which is a failure unless it is optional. */
  async function content(kind: 'Secret' | 'ConfigMap', { name, optional }: ObjectReference) {
    const key = `${kind}/${name}`;
    const reading = objects.get(key) ?? read(kind, name);
    objects.set(key, reading);
    const data = await reading;
    if (data === undefined && optional !== true) failures.add(`${kind.toLowerCase()} "${name}" not found`);
    if (data === undefined || kind === 'ConfigMap') return data;
    const decoded = Object.entries(data).map(([name, value = '']) => [
      name,
      Buffer.from(value, 'base64').toString(),
    ]);
    return Object.fromEntries(decoded) as StringMap;
  }

  for (const { prefix = '', secretRef, configMapRef } of envFrom) {
    const reference = secretRef ?? configMapRef;
    const data = reference && (await content(secretRef ? 'Secret' : 'ConfigMap', reference));
    for (const [name, value = ''] of Object.entries(data ?? {})) environment.set(prefix + name, value);
  }
  for (const { name, value = '', valueFrom } of env) {
    const reference = valueFrom?.secretKeyRef ?? valueFrom?.configMapKeyRef;
    if (valueFrom === undefined) environment.set(name, expand(value, environment));
    else if (reference === undefined) environment.delete(name);
    else {
      const kind = valueFrom.secretKeyRef ? 'Secret' : 'ConfigMap';
      const data = await content(kind, reference);
      const found = data?.[reference.key];
      // Like the kubelet, keep a value of envFrom if an optional source is missing.
      if (found !== undefined) environment.set(name, found);
      else if (data !== undefined && reference.optional !== true) {
        const place = `${workload.metadata.namespace}/${reference.name}`;
        failures.add(`couldn't find key ${reference.key} in ${kind} ${place}`);
      }
    }
  }
  return { environment: Object.fromEntries(environment), failures: [...failures] };
}

/** Replaces `$(NAME)` by its value and `$$` by `$`; an unknown name stays. */
const expand = (text: string, environment: ReadonlyMap<string, string>): string =>
  text.replace(/\$\$|\$\(([^)]*)\)/g, (match, name: string | undefined) =>
    name === undefined ? '$' : (environment.get(name) ?? match),
  );
