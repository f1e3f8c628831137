import { didYouMean, TaskError } from '@k8s-deployment/runner';
import type { ProviderName } from '../cluster/providers.ts';
import { type Problem, read } from '../ground/schema.ts';
import { isTree, type Tree, valueAt } from '../ground/tree.ts';
import { type Layer, placeIn } from './layers.ts';
import { rangeProblems } from './ranges.ts';
import { roleProblems } from './roles.ts';
import { type Settings, settingsSchema } from './schema.ts';
import { textProblems } from './texts.ts';

/** Merges the layers, lowest first. Throws `TaskError` with file and setting for the first problem. */
export function checkSettings(
  merged: Tree,
  layers: readonly Layer[],
  environment: string,
  provider: ProviderName,
): Settings {
  const common = layers[0]?.tree ?? {};
  const [problem] = problems(merged, common, provider);
  if (problem === undefined) return merged as Settings;
  const { path, rule } = problem;
  const name = path.join('.');
  const place = placeIn(layers, path);
  if (problem.isUnknown)
    throw new TaskError({
      what: `${place} has an unknown setting \`${name}\``,
      why: 'a setting has its rule in lib/settings/schema.ts and its default in environments/common.yaml',
      advice: rule,
    });
  const value = valueAt(merged, path);
  const [other] = isUnquoted(value) ? problems(withText(merged, path, value), common, provider) : [problem];
  throw new TaskError({
    what: `expected setting \`${name}\` of environment \`${environment}\` to be ${rule}, got ${shown(problem, value)}`,
    why: place === undefined ? 'no file sets it' : `${place} sets it`,
    advice:
      other?.path.join('.') !== name
        ? `write it in quotes: "${value}"`
        : `correct it in ${place ?? `environments/${environment}/`}`,
  });
}

/** Problems with names come first, then with single settings, then with combinations. */
function* problems(merged: Tree, common: Tree, provider: ProviderName): Generator<Problem> {
  yield* undeclared(merged, common);
  const found = read(settingsSchema, merged);
  if ('problem' in found) return yield found.problem;
  yield* rangeProblems(found.output, provider);
  yield* roleProblems(found.output);
  yield* textProblems(found.output);
  yield* vaultProblems(found.output, provider);
  yield* certificateProblems(found.output);
}

/** cert-manager writes the certificate of one front into the Secret, and gives the others none. */
function* certificateProblems({ ingress: { kind, tls } }: Settings): Generator<Problem> {
  if (kind === 'ingress' && tls.existingSecret !== '' && tls.clusterIssuer !== '')
    yield {
      path: ['ingress', 'tls', 'existingSecret'],
      rule: 'empty with `clusterIssuer`, which creates a Secret for each front',
    };
}

/** Vault serves only TLS. */
function* vaultProblems({ vault }: Settings, provider: ProviderName): Generator<Problem> {
  if (!vault.address.startsWith('https:')) yield { path: ['vault', 'address'], rule: 'an https URL' };
  if (provider === 'embedded' && vault.tls.clusterIssuer !== '')
    yield {
      path: ['vault', 'tls', 'clusterIssuer'],
      rule: 'empty with the provider embedded, whose Vault is no pod',
    };
}

const keysOf = (value: unknown): string[] => (isTree(value) ? Object.keys(value) : []);

/** Misspelt charts, images and releases, which would silently have no effect. */
function* undeclared(merged: Tree, common: Tree): Generator<Problem> {
  const applications = valueAt(merged, ['database', 'applications']);
  for (const group of ['charts', 'images', 'releases']) {
    // Both releases of each application; environments/common.yaml only has values that all of them share.
    const ofApplications = keysOf(applications).flatMap((app) => [`${app}-back`, `${app}-front`]);
    const known = [...keysOf(common[group]), ...(group === 'releases' ? ofApplications : [])];
    const unknown = keysOf(merged[group]).find((name) => !known.includes(name));
    // The schema names applications that are no map.
    if (unknown !== undefined && isTree(applications))
      yield {
        path: [group, unknown],
        rule: didYouMean(unknown, known, 'remove it, or declare it in environments/common.yaml'),
        isUnknown: true,
      };
  }
  // They hold for all releases of a chart.
  for (const chart of ['backend', 'frontend']) {
    const path = ['releases', chart, 'installed'];
    if (valueAt(merged, path) !== undefined)
      yield { path, rule: 'set it in each release, such as app1-back', isUnknown: true };
  }
}

const isUnquoted = (value: unknown): boolean => typeof value === 'number' || typeof value === 'boolean';

function withText(settings: Tree, path: readonly string[], value: unknown): Tree {
  const copy = structuredClone(settings);
  (valueAt(copy, path.slice(0, -1)) as Tree)[path.at(-1) ?? ''] = String(value);
  return copy;
}

/** A value for an error, without a password written in place of a reference. */
function shown({ path, rule }: Problem, value: unknown): string {
  const isPlain = (key: string, found: unknown = ''): boolean =>
    key === 'password' && found !== null && !(typeof found === 'string' && /^(?:sops:\/\/|$)/.test(found));
  if (path.some((key) => isPlain(key, value))) return 'another text';
  if (rule === 'a map' && typeof value === 'string') return 'a text';
  if (rule === 'a map' && value !== null) return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
  return `\`${JSON.stringify(value, (key, found) => (isPlain(key, found) ? '…' : found))}\``;
}
