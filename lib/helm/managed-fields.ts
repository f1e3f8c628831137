/**
 * Fields as in `metadata.managedFields`: `f:name` is a key of a map, `k:{"name":"x"}` the element of a list with that key, `v:"x"` a
 * scalar of a set. A field with nothing below is owned as a whole (Kubernetes: "Server-Side Apply", FieldsV1).
 */
export type Fields = { readonly [step: string]: Fields };

/** One entry of `metadata.managedFields`. */
export type ManagedFields = {
  readonly manager?: string;
  readonly operation?: string;
  readonly subresource?: string;
  readonly time?: string;
  readonly fieldsV1?: Fields;
};

/** A field that helm set and does not own any more: somebody else changed or removed it. */
export type LostField = {
  /** Such as `.spec.template.spec.containers[nginx].image`. */
  readonly path: string;
  /** Who set the present value; undefined if the field was removed, which leaves no trace. */
  readonly manager: string | undefined;
  /** Undefined: removed. */
  readonly theirs: unknown;
  readonly ours: unknown;
};

type Owner = { readonly manager: string; readonly fields: Fields };

/**
 * The entries of helm, whose manager is `helm` whatever its program is called (helm: cmd/helm, `ManagedFieldsManager`). If it uses
 * server-side apply, an update in its name is somebody else's.
 */
function entriesOfHelm(entries: readonly ManagedFields[]): readonly ManagedFields[] {
  const named = entries.filter(({ manager }) => manager === 'helm');
  const applied = named.filter(({ operation }) => operation === 'Apply');
  return applied.length > 0 ? applied : named;
}

/**
 * The fields of `wanted`, an object as helm applied it, that helm lost in `actual`, the same object in the cluster. A value that the
 * server only writes differently (`1000m` as `1`) is still helm's.
 */
export function lostFields(wanted: unknown, actual: unknown, entries: readonly ManagedFields[]): LostField[] {
  const owners = entries
    .filter(({ subresource, fieldsV1 = {} }) => subresource !== 'status' && Object.keys(fieldsV1).length > 0)
    .toSorted((a, b) => (a.time ?? '').localeCompare(b.time ?? ''));
  const of = (list: readonly ManagedFields[]): Owner[] =>
    list.map(({ manager = 'unknown', fieldsV1 = {} }) => ({ manager, fields: fieldsV1 }));
  const helm = entriesOfHelm(owners);
  return compare('', wanted, actual, of(helm), of(owners.filter((owner) => !helm.includes(owner))));
}

/** A field that a person set and helm does not. helm keeps it. */
export type AddedField = { readonly path: string; readonly manager: string };

/**
 * The fields that somebody added to `actual` with kubectl and helm does not set in `wanted`. Labels, annotations and replicas do not
 * count; neither does `kubectl create`, which came before helm adopted the object.
 */
export const addedFields = (
  wanted: unknown,
  actual: unknown,
  entries: readonly ManagedFields[],
): AddedField[] =>
  entries
    .filter(({ manager = '', subresource }) => /^kubectl(?!-create)/.test(manager) && !subresource)
    .flatMap(({ manager = '', fieldsV1 = {} }) => {
      const { 'f:metadata': _, ...content } = fieldsV1;
      return pathsBeside('', wanted, actual, content).map((path) => ({ path, manager }));
    });

function pathsBeside(path: string, ours: unknown, theirs: unknown, fields: Fields): string[] {
  if (theirs === undefined || !isMoreThanAnnotations(fields)) return [];
  const steps = Object.entries(fields).filter(([step]) => step !== '.' && step !== 'f:annotations');
  const isList = steps.some(([step]) => !step.startsWith('f:'));
  if (ours === undefined && !isList) return [path];
  return steps.flatMap(([step, fields]) => {
    if (step.startsWith('f:')) {
      const key = step.slice(2);
      const of = (some: unknown) => (isMap(some) ? some[key] : undefined);
      return pathsBeside(`${path}${pathStep(key)}`, of(ours), of(theirs), fields);
    }
    const of = (some: unknown) =>
      Array.isArray(some) ? some.findIndex((element) => leadsTo(step, element)) : -1;
    const [our, their] = [of(ours), of(theirs)];
    const element = (theirs as readonly unknown[])[their];
    return pathsBeside(
      `${path}[${nameOf(element, their)}]`,
      (ours as readonly unknown[])?.[our],
      element,
      fields,
    );
  });
}

const isMoreThanAnnotations = (fields: Fields): boolean =>
  Object.keys(fields).length === 0 ||
  Object.entries(fields).some(([step, below]) => step !== 'f:annotations' && isMoreThanAnnotations(below));

const isWhole = ({ fields }: Owner): boolean => Object.keys(fields).length === 0;

function compare(
  path: string,
  ours: unknown,
  theirs: unknown,
  helm: readonly Owner[],
  others: readonly Owner[],
): LostField[] {
  if (ours === undefined || helm.some(isWhole)) return [];
  if (theirs === undefined) {
    // The server drops what is empty.
    return helm.length > 0 || isEmpty(ours) ? [] : [{ path, manager: undefined, theirs, ours }];
  }
  // No owner is known.
  if (helm.length === 0 && others.length === 0) return [];
  const whole = others.findLast(isWhole);
  if (helm.length === 0 && whole !== undefined) {
    return isEqual(ours, theirs) ? [] : [{ path, manager: whole.manager, theirs, ours }];
  }
  if (Array.isArray(ours)) {
    return Array.isArray(theirs) ? compareLists(path, ours, theirs, helm, others) : [];
  }
  if (!isMap(ours) || !isMap(theirs)) return [];
  return Object.entries(ours).flatMap(([key, value]) => {
    const step = `f:${key}`;
    return compare(`${path}${pathStep(key)}`, value, theirs[key], below(helm, step), below(others, step));
  });
}

function compareLists(
  path: string,
  ours: readonly unknown[],
  theirs: readonly unknown[],
  helm: readonly Owner[],
  others: readonly Owner[],
): LostField[] {
  const steps = new Set([...helm, ...others].flatMap(({ fields }) => Object.keys(fields)));
  const keys = [...steps].filter((step) => step.startsWith('k:') || step.startsWith('v:'));
  return ours.flatMap((element, index) => {
    const step = keys.find((key) => leadsTo(key, element));
    const found = theirs.find((other) =>
      step === undefined ? isEqual(element, other) : leadsTo(step, other),
    );
    const owners = (list: readonly Owner[]) => (step === undefined ? [] : below(list, step));
    return compare(`${path}[${nameOf(element, index)}]`, element, found, owners(helm), owners(others));
  });
}

/** True if a step leads to an element: the parts of its key that the element has are equal; the server adds defaults. */
function leadsTo(step: string, element: unknown): boolean {
  const key: unknown = JSON.parse(step.slice(2));
  if (!isMap(key)) return key === element;
  return (
    isMap(element) &&
    Object.entries(key).every(([name, value]) => element[name] === undefined || element[name] === value)
  );
}

const below = (owners: readonly Owner[], step: string): Owner[] =>
  owners.flatMap((owner) => {
    const fields = isWhole(owner) ? owner.fields : owner.fields[step];
    return fields === undefined ? [] : [{ manager: owner.manager, fields }];
  });

const pathStep = (key: string): string => (/^\w+$/.test(key) ? `.${key}` : `[${key}]`);

function nameOf(element: unknown, index: number): string {
  if (!isMap(element)) return String(element);
  const { name, mountPath, containerPort, port, key } = element;
  return String(name ?? mountPath ?? containerPort ?? port ?? key ?? index);
}

const isMap = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isEmpty = (value: unknown): boolean =>
  value === null ||
  value === '' ||
  (Array.isArray(value) && value.length === 0) ||
  (isMap(value) && Object.keys(value).length === 0);

const isEqual = (left: unknown, right: unknown): boolean => canonical(left) === canonical(right);

/** JSON with sorted keys. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, part) =>
    isMap(part) ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1))) : part,
  );
