import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ChartName, isTree } from './render.ts';
import { root } from './tools.ts';

/** The part of JSON schema that the charts use. */
export type Schema = {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly not?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly required?: readonly string[];
  readonly definitions?: Readonly<Record<string, Schema>>;
};

/** A chart's schema; references are followed by `resolve`. */
export async function readSchema(chart: ChartName): Promise<Schema> {
  return JSON.parse(await readFile(join(root, 'charts', chart, 'values.schema.json'), 'utf8')) as Schema;
}

/** Name of the definition that a schema refers to, or undefined. */
export const definitionOf = (schema: Schema): string | undefined => schema.$ref?.split('/').at(-1);

export function resolve(whole: Schema, schema: Schema): Schema {
  const name = definitionOf(schema);
  return name === undefined ? schema : (whole.definitions?.[name] ?? {});
}

const childOf = (schema: Schema): Schema | undefined =>
  isTree(schema.additionalProperties) ? (schema.additionalProperties as Schema) : undefined;

/** True for an object of Kubernetes' own form, which the API server checks. */
const isFree = (schema: Schema): boolean => schema.type === 'object' && !isMap(schema);

const isMap = (schema: Schema): boolean => schema.properties !== undefined || childOf(schema) !== undefined;

/** Places of all values of a schema: `*` is any key of an open map, `[]` any item of a list. */
export function schemaPaths(whole: Schema, schema = whole, place = ''): string[] {
  const here = resolve(whole, schema);
  const child = childOf(here);
  const items = here.items && resolve(whole, here.items);
  if (items && isMap(items)) return schemaPaths(whole, items, `${place}[]`);
  if (!isMap(here)) return [place];
  const below = (key: string): string => (place === '' ? key : `${place}.${key}`);
  return [
    ...Object.entries(here.properties ?? {}).flatMap(([key, inner]) => schemaPaths(whole, inner, below(key))),
    ...(child ? schemaPaths(whole, child, below('*')) : []),
  ];
}

export type Leaf = {
  readonly path: readonly (string | number)[];
  /** A path from `schemaPaths`. */
  readonly place: string;
  readonly schema: Schema;
  readonly value: unknown;
};

/** Every value that is not a map or list of maps, with its schema. */
export function leavesOf(
  whole: Schema,
  value: unknown,
  schema = whole,
  path: readonly (string | number)[] = [],
  place = '',
): Leaf[] {
  const here = resolve(whole, schema);
  if (Array.isArray(value) && here.items && isMap(resolve(whole, here.items))) {
    const items = here.items;
    return value.flatMap((item, index) => leavesOf(whole, item, items, [...path, index], `${place}[]`));
  }
  if (!isTree(value) || isFree(here)) {
    const items = here.items && resolve(whole, here.items);
    return [{ path, place, schema: items ? { ...here, items } : here, value }];
  }
  return Object.entries(value).flatMap(([key, inner]) => {
    const known = here.properties?.[key];
    const next = known ?? childOf(here);
    if (!next) throw new Error(`Expected a schema for ${[...path, key].join('.')}`);
    const name = known ? key : '*';
    return leavesOf(whole, inner, next, [...path, key], place === '' ? name : `${place}.${name}`);
  });
}

function fits(schema: Schema, value: unknown): boolean {
  if (schema.oneOf) return schema.oneOf.some((one) => fits(one, value));
  if (schema.not?.enum?.includes(value)) return false;
  if (schema.enum) return schema.enum.includes(value);
  if (typeof value === 'string') {
    return (
      (schema.type === undefined || [schema.type].flat().includes('string')) &&
      (schema.pattern === undefined || new RegExp(schema.pattern).test(value)) &&
      value.length >= (schema.minLength ?? 0) &&
      value.length <= (schema.maxLength ?? Number.POSITIVE_INFINITY)
    );
  }
  return (
    [schema.type].flat().includes('integer') &&
    Number(value) >= (schema.minimum ?? Number.NEGATIVE_INFINITY) &&
    Number(value) <= (schema.maximum ?? Number.POSITIVE_INFINITY)
  );
}

/** Sample texts; after the next number, the first one that fits a schema is its other value. */
const texts = [
  'https://other:8200',
  'other/other',
  '7Mi',
  '7Gi',
  '77m',
  '2026-01-31T12:00:00Z',
  '77s',
  '77',
  '7.7.0.0/16',
  '/other',
  `sha256:${'7'.repeat(64)}`,
  '-----BEGIN CERTIFICATE-----\nother\n',
  '-----BEGIN PRIVATE KEY-----\nother\n',
];

/** Other values that a schema accepts: every other choice of an enumeration, else one. Empty where none is known. */
export function alternatives(schema: Schema, value: unknown): unknown[] {
  if (Array.isArray(value)) {
    if (schema.items?.enum) return [schema.items.enum.slice(0, 1), schema.items.enum.slice(1, 2)];
    return alternatives(schema.items ?? {}, value[0])
      .slice(0, 1)
      .map((item) => [item]);
  }
  if (schema.enum) return schema.enum.filter((choice) => choice !== value);
  if (schema.type === 'boolean') return [!value];
  if (isTree(value)) return [{ ...value, other: 'other' }];
  const candidates =
    typeof value === 'number'
      ? [value + 1, value - 1]
      : ['other', String(value).replace(/^\d+/, (number) => String(Number(number) + 1)), ...texts];
  return candidates.filter((other) => other !== value && fits(schema, other)).slice(0, 1);
}
