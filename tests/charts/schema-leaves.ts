import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ChartName, isTree } from './render.ts';
import { root } from './tools.ts';

export type Schema = {
  /** The name of the definition that it came from. */
  readonly definition?: string;
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
};

/** A chart's schema, with definitions in the place of references to them. */
export async function readSchema(chart: ChartName): Promise<Schema> {
  const text = await readFile(join(root, 'charts', chart, 'values.schema.json'), 'utf8');
  const { definitions, ...schema } = JSON.parse(text);
  const whole = (part: unknown): unknown => {
    if (Array.isArray(part)) return part.map(whole);
    if (!isTree(part)) return part;
    const [, definition] = /^#\/definitions\/(.+)$/.exec(String(part.$ref)) ?? [];
    if (definition) return { ...(whole(definitions[definition]) as Schema), definition };
    return Object.fromEntries(Object.entries(part).map(([key, inner]) => [key, whole(inner)]));
  };
  return whole(schema) as Schema;
}

export const otherOf = ({ additionalProperties: other }: Schema): Schema | undefined =>
  typeof other === 'object' ? other : undefined;

/** False for an object of Kubernetes' own form, which the API server checks. */
const isMap = (schema: Schema): boolean => (schema.properties ?? otherOf(schema)) !== undefined;

const below = (place: string, key: string): string => (place === '' ? key : `${place}.${key}`);

/** Places of all values of a schema: `*` is any key of an open map, `[]` any item of a list. */
export function schemaPaths(schema: Schema, place = ''): string[] {
  const { items, properties = {} } = schema;
  if (items && isMap(items)) return schemaPaths(items, `${place}[]`);
  if (!isMap(schema)) return [place];
  const other = otherOf(schema);
  return Object.entries(other ? { ...properties, '*': other } : properties).flatMap(([key, inner]) =>
    schemaPaths(inner, below(place, key)),
  );
}

type Leaf = {
  readonly path: readonly (string | number)[];
  /** A path from `schemaPaths`. */
  readonly place: string;
  readonly schema: Schema;
  readonly value: unknown;
};

/** Every value that is not a map or list of maps, with its schema. */
export function leavesOf(schema: Schema, value: unknown, path: Leaf['path'] = [], place = ''): Leaf[] {
  const { items } = schema;
  if (Array.isArray(value) && items && isMap(items))
    return value.flatMap((item, index) => leavesOf(items, item, [...path, index], `${place}[]`));
  if (!isTree(value) || (schema.type === 'object' && !isMap(schema))) return [{ path, place, schema, value }];
  return Object.entries(value).flatMap(([key, inner]) => {
    const known = schema.properties?.[key];
    const next = known ?? otherOf(schema);
    if (!next) throw new Error(`Expected a schema for ${[...path, key].join('.')}`);
    return leavesOf(next, inner, [...path, key], below(place, known ? key : '*'));
  });
}

function fits(schema: Schema, value: unknown): boolean {
  const { oneOf, not, type = 'string', pattern = '', minLength = 0, maxLength = 1e9 } = schema;
  if (oneOf) return oneOf.some((one) => fits(one, value));
  if (not?.enum?.includes(value)) return false;
  if (schema.enum) return schema.enum.includes(value);
  if (typeof value === 'number')
    return type.includes('integer') && value >= (schema.minimum ?? 0) && value <= (schema.maximum ?? 1e9);
  const text = String(value);
  return (
    type.includes('string') &&
    new RegExp(pattern).test(text) &&
    text.length >= minLength &&
    text.length <= maxLength
  );
}

/** Sample texts; after the next number, the first one that fits a schema is its other value. */
const texts = [
  ...['https://other:8200', 'other/other', '7Mi', '7Gi', '77m', '2026-01-31T12:00:00Z', '77s', '77'],
  ...['7.7.0.0/16', '/other', `sha256:${'7'.repeat(64)}`],
  ...['CERTIFICATE', 'PRIVATE KEY'].map((kind) => `-----BEGIN ${kind}-----\nother\n`),
];

/** Other values that a schema accepts: every other choice of an enumeration, else one. Empty where none is known. */
export function alternatives(schema: Schema, value: unknown): unknown[] {
  const { items = {} } = schema;
  if (Array.isArray(value)) {
    if (items.enum) return [items.enum.slice(0, 1), items.enum.slice(1, 2)];
    return alternatives(items, value[0]).map((item) => [item]);
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
