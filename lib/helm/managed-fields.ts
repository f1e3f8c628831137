import { isDeepStrictEqual } from 'node:util';
import { isTree } from '../ground/tree.ts';
import type { Fields, ManagedFields, Pair, SecretObject } from './live-objects.ts';

/* How the fields of one object in the cluster differ from what helm applied. */

/** The fields of one object that differ from what helm applied; none of an object that is gone. */
export function compareFields({ object, live }: Pick<Pair, 'object' | 'live'>) {
  if (live === undefined) return { lost: [], added: [] };
  const { apiVersion, kind, metadata, ...content } = object;
  const { labels, annotations } = metadata;
  const entries = live.metadata.managedFields ?? [];
  const differences = (wanted: unknown, owned: readonly ManagedFields[]) => ({
    lost: lostFields(wanted, live, owned),
    added: addedFields(wanted, live, owned),
  });
  if (kind !== 'Secret') return differences({ metadata: { labels, annotations }, ...content }, entries);
  // The server stores `stringData` as `data`, which helm then does not own.
  const { stringData = {}, data, type } = object as SecretObject;
  const encoded = Object.entries(stringData).map(([name, text]) => [
    name,
    Buffer.from(text).toString('base64'),
  ]);
  const wanted = {
    metadata: { labels, annotations },
    type,
    data: { ...data, ...Object.fromEntries(encoded) },
  };
  const owned = entries.map((entry) =>
    entry.fieldsV1?.['f:stringData']
      ? { ...entry, fieldsV1: { 'f:data': { '.': {} }, ...entry.fieldsV1 } }
      : entry,
  );
  return differences(wanted, owned);
}

/**
 * The value without those empty texts that helm has already applied and that are gone: operators drop them when they
 * update their resources.
 */
export function withoutDropped<Value>(
  value: Value,
  { object, live }: { readonly object: unknown; readonly live: unknown },
): Value {
  if (!isTree(value) || !isTree(object) || !isTree(live)) return value;
  const kept = Object.entries(value)
    .filter(([name, text]) => text !== '' || object[name] !== '' || live[name] !== undefined)
    .map(([name, below]) => [name, withoutDropped(below, { object: object[name], live: live[name] })]);
  return Object.fromEntries(kept) as Value;
}

/** For example `.spec.replicas: 4 (kubectl), was 2`; hides values of a Secret. */
export function lostField({ object }: Pair, { path, manager, theirs, ours }: LostField): string {
  const hidden = object.kind === 'Secret' && path.startsWith('.data');
  const [their, our] = hidden ? ['a hidden value', 'a hidden value'] : shortValues(theirs, ours);
  return `${path}: ${theirs === undefined ? 'removed' : `${their} (${manager})`}, was ${our}`;
}

/** A field that helm set and no longer owns: somebody else changed or removed it. */
type LostField = {
  /** For example `.spec.template.spec.containers[nginx].image`. */
  readonly path: string;
  /** Who set the present value; undefined if the field was removed, which leaves no owner. */
  readonly manager: string | undefined;
  /** Undefined if the field was removed. */
  readonly theirs: unknown;
  readonly ours: unknown;
};

type Owner = { readonly manager: string; readonly fields: Fields };

/**
 * Fields of `wanted`, as helm applied it, that helm no longer owns in `actual`, the object in the cluster. A value
 * that the server only formats differently (`1000m` as `1`) still belongs to helm.
 */
function lostFields(wanted: unknown, actual: unknown, entries: readonly ManagedFields[]): LostField[] {
  const owners = entries
    .filter(({ subresource, fieldsV1 = {} }) => subresource !== 'status' && Object.keys(fieldsV1).length > 0)
    .toSorted((a, b) => (a.time ?? '').localeCompare(b.time ?? ''));
  const of = (list: readonly ManagedFields[]): Owner[] =>
    list.map(({ manager = 'unknown', fieldsV1 = {} }) => ({ manager, fields: fieldsV1 }));
  // helm's manager is always named `helm` (helm: cmd/helm, `ManagedFieldsManager`). With server-side apply, an update
  // under that name comes from somebody else.
  const named = owners.filter(({ manager }) => manager === 'helm');
  const applied = named.filter(({ operation }) => operation === 'Apply');
  const helm = applied.length > 0 ? applied : named;
  return compare('', wanted, actual, of(helm), of(owners.filter((owner) => !helm.includes(owner))));
}

/**
 * Fields that somebody added to `actual` with kubectl and `wanted` does not have, such as a rule of a policy that denies
 * all. helm keeps them. Ignores labels, annotations, replicas, and `kubectl create`, which came before helm adopted the
 * object.
 */
const addedFields = (wanted: unknown, actual: unknown, entries: readonly ManagedFields[]) =>
  entries
    .filter(({ manager = '', subresource }) => /^kubectl(?!-create)/.test(manager) && !subresource)
    .flatMap(({ manager = '', fieldsV1 = {} }) => {
      const { 'f:metadata': _, ...content } = fieldsV1;
      return pathsBeside('', wanted, actual, content).map((path) => ({ path, manager }));
    });

function pathsBeside(path: string, ours: unknown, theirs: unknown, fields: Fields): string[] {
  if (theirs === undefined || !isMoreThanAnnotations(fields)) return [];
  const steps = Object.entries(fields).filter(([step]) => step !== '.' && step !== 'f:annotations');
  if (ours === undefined && steps.every(([step]) => step.startsWith('f:'))) return [path];
  return steps.flatMap(([step, fields]) => {
    const [their, name] = follow(step, theirs);
    return pathsBeside(`${path}${name}`, follow(step, ours)[0], their, fields);
  });
}

/** The value that a step of `fieldsV1` selects, and the step's part of a path. */
function follow(step: string, from: unknown): [found: unknown, name: string] {
  const key = step.slice(2);
  if (step.startsWith('f:')) return [isTree(from) ? from[key] : undefined, pathStep(key)];
  const list: readonly unknown[] = Array.isArray(from) ? from : [];
  const index = list.findIndex((element) => leadsTo(step, element));
  return [list[index], `[${nameOf(list[index], index)}]`];
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
    // The server drops empty fields.
    return helm.length > 0 || isEmpty(ours) ? [] : [{ path, manager: undefined, theirs, ours }];
  }
  // The field has no known owner; so it is after a scale to 0, as the entry of that lacks the number (Kubernetes).
  if (helm.length === 0 && others.length === 0)
    return path === '.spec.replicas' && ours !== theirs
      ? [{ path, manager: 'kubectl scale', theirs, ours }]
      : [];
  const whole = others.findLast(isWhole);
  if (helm.length === 0 && whole !== undefined)
    return isDeepStrictEqual(ours, theirs) ? [] : [{ path, manager: whole.manager, theirs, ours }];
  if (Array.isArray(ours)) return Array.isArray(theirs) ? compareLists(path, ours, theirs, helm, others) : [];
  if (!isTree(ours) || !isTree(theirs)) return [];
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
      step === undefined ? isDeepStrictEqual(element, other) : leadsTo(step, other),
    );
    const owners = (list: readonly Owner[]) => (step === undefined ? [] : below(list, step));
    return compare(`${path}[${nameOf(element, index)}]`, element, found, owners(helm), owners(others));
  });
}

/** True if a step selects the element: its key may have more parts, since the server adds defaults. */
function leadsTo(step: string, element: unknown): boolean {
  const key: unknown = JSON.parse(step.slice(2));
  if (!isTree(key)) return key === element;
  return (
    isTree(element) &&
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
  if (!isTree(element)) return String(element);
  const { name, mountPath, containerPort, port, key } = element;
  return String(name ?? mountPath ?? containerPort ?? port ?? key ?? index);
}

const isEmpty = (value: unknown): boolean =>
  value === '' || (typeof value === 'object' && Object.keys(value ?? {}).length === 0);

/** Maximum length of a shown value, and of its part before the first difference. */
const shownLength = 60;
const shownBefore = 20;

/** Two values, each on one line; long ones are cut around their first difference. */
export function shortValues(one: unknown, other: unknown): [string, string] {
  const texts = [textOf(one), textOf(other)] as const;
  const [first, second] = texts;
  if (texts.every((text) => text.length <= shownLength && !text.includes('\n'))) return [first, second];
  let same = 0;
  while (first !== '' && same < first.length && first[same] === second[same]) same++;
  const lineStart = first.slice(0, same).lastIndexOf('\n') + 1;
  const start = Math.max(lineStart, same > shownLength - shownBefore ? same - shownBefore : 0);
  return [cut(first, start), cut(second, start)];
}

function cut(text: string, start: number): string {
  const [line = ''] = text.slice(start, start + shownLength).split('\n');
  return `${start > 0 ? '…' : ''}${line}${start + line.length < text.length ? '…' : ''}`;
}

const textOf = (value: unknown): string =>
  typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
