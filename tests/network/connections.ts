import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { sample } from '../rig/applications.ts';
import type { Port } from './verdict.ts';

export type Described = {
  readonly namespace?: string;
  /** `Kind/name` of the pod's owner. */
  readonly workload?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly upstream?: Readonly<Record<string, string>>;
  /** Named ports of such a pod. */
  readonly ports?: Readonly<Record<string, number>>;
  readonly address?: string;
};

export type Connections = {
  readonly parties: Readonly<Record<string, Described>>;
  /** Ports that every pair is tried on. */
  readonly ports: readonly Port[];
  /** Every allowed connection as `from -> to port/protocol`. */
  readonly allowed: ReadonlySet<string>;
};

/** Name of a connection in messages and in `allowed`. */
export const connectionName = (from: string, to: string, { port, protocol }: Port): string =>
  `${from} -> ${to} ${port}/${protocol}`;

/** Namespaces that the release devops isolates. */
export const ourNamespaces = ['core', 'vault', 'database', 'backend', 'frontend'] as const;

export const isOurs = (pod: { readonly namespace?: string } | undefined): boolean =>
  ourNamespaces.some((name) => name === pod?.namespace);

/** Environments in which a party or connection exists; absent: all. */
type Limited = { readonly in?: readonly string[] };

/** A part of the table, once for each of a few applications if it names APP. */
function forEachApplication<Part>(part: Part): Part[] {
  const text = JSON.stringify(part);
  if (!text.includes('APP')) return [part];
  return sample.map(({ name }) => JSON.parse(text.replaceAll('APP', name)) as Part);
}

/**
 * The table of `connections.yaml` for an environment (also `monitored`: with the setting `monitoring`), with its groups
 * expanded: `ours` (all pods in our namespaces), `foreign` (all pods elsewhere), `outside` (addresses, except
 * link-local ones). Throws for an unknown name.
 */
export async function readConnections(...environments: readonly string[]): Promise<Connections> {
  type Table = {
    parties: Record<string, Described & Limited>;
    ports: number[];
    allowed: ({ from: string[]; to: string[]; ports: (number | string)[] } & Limited)[];
  };
  const file = fileURLToPath(new URL('connections.yaml', import.meta.url));
  const table = parse(await readFile(file, 'utf8')) as Table;
  const { ports } = table;
  const isHere = (limited: Limited): boolean =>
    limited.in?.some((name) => environments.includes(name)) ?? true;
  const allowed = table.allowed.filter(isHere).flatMap(forEachApplication);
  const parties = Object.fromEntries(
    Object.entries(table.parties)
      .filter(([, party]) => isHere(party))
      .flatMap(forEachApplication),
  );
  const named = (holds: (party: Described) => boolean): string[] =>
    Object.entries(parties).flatMap(([name, party]) => (holds(party) ? [name] : []));
  const groups: Readonly<Record<string, string[]>> = {
    ours: named(isOurs),
    foreign: named((party) => party.namespace !== undefined && !isOurs(party)),
    outside: named(({ address }) => address !== undefined && !address.startsWith('169.254.')),
  };
  const members = (name: string): string[] => {
    const found = groups[name] ?? (parties[name] ? [name] : undefined);
    if (!found) throw new Error(`Expected a party or a group in connections.yaml, got \`${name}\``);
    return found;
  };
  const portOf = (text: number | string): Port => {
    const [port, protocol = 'TCP'] = String(text).split('/');
    return { port: Number(port), protocol: protocol === 'UDP' ? 'UDP' : 'TCP' };
  };
  return {
    parties,
    ports: [...ports.map(portOf), { port: 53, protocol: 'UDP' }],
    allowed: new Set(
      allowed.flatMap((row) =>
        row.from
          .flatMap(members)
          .flatMap((from) =>
            row.to
              .flatMap(members)
              .flatMap((to) => row.ports.map((port) => connectionName(from, to, portOf(port)))),
          ),
      ),
    ),
  };
}
