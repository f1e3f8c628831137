import { suggest, TaskError } from '../../runner/runner.ts';

const secondsPerUnit = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** Reads one map of a settings file; every complaint names the file and the key, never a value. */
export class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #file: string;
  readonly #place: string;

  private constructor(values: Readonly<Record<string, unknown>>, file: string, place: string) {
    this.#values = values;
    this.#file = file;
    this.#place = place;
  }

  /** `known` are the keys that may be there; without it any may. Throws `TaskError`. */
  static of(value: unknown, where: { file: string; place: string }, known?: readonly string[]): Fields {
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
    const fields = new Fields(isMap ? (value as Record<string, unknown>) : {}, where.file, where.place);
    if (!isMap) throw fields.#complain(where.place, 'must be a map');
    const unknown = known === undefined ? undefined : Object.keys(value).find((key) => !known.includes(key));
    if (known === undefined || unknown === undefined) return fields;
    const meant = suggest(unknown, known);
    throw new TaskError({
      what: `unknown key \`${fields.#name(unknown)}\` in ${where.file}`,
      advice: meant === undefined ? `known keys here: ${known.join(', ')}` : `did you mean \`${meant}\`?`,
    });
  }

  child(place: string, value: unknown, known?: readonly string[]): Fields {
    return Fields.of(value, { file: this.#file, place }, known);
  }

  /** The map under a key, which has to be there. */
  section(key: string, known: readonly string[]): Fields {
    return this.child(this.#name(key), this.#values[key], known);
  }

  has(key: string): boolean {
    return this.#values[key] !== undefined;
  }

  value(key: string): unknown {
    return this.#values[key];
  }

  text(key: string): string {
    const value = this.#values[key];
    if (typeof value === 'string' && value !== '') return value;
    throw this.problem(key, 'must be a text that is not empty');
  }

  /** A name that may stand in a path of Vault and within the quotes of SQL. */
  name(key: string): string {
    const value = this.text(key);
    if (/^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$/.test(value)) return value;
    throw this.problem(key, 'must be a name of a-z, 0-9, - and _');
  }

  number(key: string): number {
    const value = this.#values[key];
    if (typeof value === 'number') return value;
    throw this.problem(key, 'must be a number');
  }

  texts(key: string): string[] {
    const value = this.#values[key];
    const isList = Array.isArray(value) && value.length > 0;
    if (isList && value.every((item) => typeof item === 'string' && item !== '')) return value;
    throw this.problem(key, 'must be a list of texts that is not empty');
  }

  /** A duration such as `1h`, `1h30m` or `7d`, in seconds. Not zero: Vault would take its own default. */
  seconds(key: string): number {
    const value = this.#values[key];
    if (typeof value === 'string' && /^(\d+[smhd])+$/.test(value) && /[1-9]/.test(value)) {
      return [...value.matchAll(/(\d+)([smhd])/g)].reduce(
        (sum, [, count, unit]) => sum + Number(count) * secondsPerUnit[unit as keyof typeof secondsPerUnit],
        0,
      );
    }
    throw this.problem(key, 'must be a duration such as 30m, 1h or 7d');
  }

  /** The same, where another one, at `place`, is the longest: Vault would shorten it without a word. */
  secondsUpTo(longest: number | undefined, place: string, key: string): number {
    const seconds = this.seconds(key);
    if (longest === undefined || seconds <= longest) return seconds;
    throw this.problem(key, `must not be longer than \`${place}\``);
  }

  /** The pairs of the map under `key` (none when it is absent), or of this map itself. */
  entries(key?: string): [string, unknown][] {
    if (key === undefined) return Object.entries(this.#values);
    if (!this.has(key)) return [];
    return this.child(this.#name(key), this.#values[key]).entries();
  }

  problem(key: string, complaint: string): TaskError {
    return this.#complain(this.#name(key), complaint);
  }

  #name(key: string): string {
    return this.#place === '' ? key : `${this.#place}.${key}`;
  }

  #complain(place: string, complaint: string): TaskError {
    return new TaskError({
      what: `${place === '' ? this.#file : `\`${place}\` in ${this.#file}`} ${complaint}`,
    });
  }
}
