import { didYouMean, TaskError } from '@k8s-deployment/runner';
import type { ProviderName } from '../cluster/providers.ts';
import { kindOf, type Problem, read } from '../ground/schema.ts';
import { isTree, leavesOf, type Tree, valueAt } from '../ground/tree.ts';
import { addressRange, plainForm, rangeProblems } from './ranges.ts';
import { type Settings, settingsSchema } from './schema.ts';
import { secretForm, secretKey } from './secret-reference.ts';
import { type Layer, placeIn } from './settings.ts';

/** The merged settings, checked. Throws `TaskError` with file and setting for the first problem. */
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
  // A password may stand in place of a reference, or of the map that has one.
  const isSecret = rule === 'a map' || (path.includes('password') && !/^(?:sops:\/\/|$)/.test(String(value)));
  const [other] = isUnquoted(value) ? problems(withText(merged, path, value), common, provider) : [problem];
  throw new TaskError({
    what: `expected setting \`${name}\` of environment \`${environment}\` to be ${rule}, got ${kindOf(value, isSecret)}`,
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
  yield* issuerProblems(found.output, provider);
}

/** Problems with certificates of cert-manager. */
function* issuerProblems({ vault, ingress }: Settings, provider: ProviderName): Generator<Problem> {
  if (provider === 'embedded' && vault.tls.clusterIssuer !== '')
    yield {
      path: ['vault', 'tls', 'clusterIssuer'],
      rule: 'empty with the provider embedded, whose Vault is no pod',
    };
  // It writes the certificate of one front into the Secret, and gives the others none.
  const { existingSecret, clusterIssuer } = ingress.tls;
  if (ingress.kind === 'ingress' && existingSecret !== '' && clusterIssuer !== '')
    yield {
      path: ['ingress', 'tls', 'existingSecret'],
      rule: 'empty with `clusterIssuer`, which creates a Secret for each front',
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

/** A PostgreSQL role and its place in the settings. */
type Role = { readonly path: readonly string[]; readonly name: string; readonly password: string };

const groups = ['applications', 'issuers'] as const;

const declaredRoles = ({ database }: Settings): readonly Role[] =>
  groups.flatMap((group) =>
    Object.entries(database[group]).flatMap(([name, role]) =>
      role === null ? [] : [{ path: ['database', group, name], name, password: role.password }],
    ),
  );

/**
 * Problems with PostgreSQL's roles. helmfile passes their passwords to charts and the tasks log in with them: each
 * role needs its own secret, and every login as the role must use it.
 */
export function* roleProblems(settings: Settings): Generator<Problem> {
  const { user, name: database } = settings.database;
  const before: Role[] = [
    { path: ['database', 'user'], name: user, password: settings.releases.postgresql.password },
  ];
  for (const role of declaredRoles(settings)) {
    const { path, name, password } = role;
    // Each application has a database of its name. Every server has the database postgres, and CloudNativePG a
    // superuser postgres.
    const databases = path[1] === 'applications' ? [database, 'template0', 'template1'] : [];
    if (['postgres', ...databases, ...before.map((other) => other.name)].includes(name))
      yield { path, rule: 'a role with a name that no other role or database has' };
    const same = before.find((other) => other.password !== '' && other.password === password);
    if (same !== undefined)
      yield { path: [...path, 'password'], rule: `a secret of its own, and not that of \`${same.name}\`` };
    before.push(role);
  }
  yield* loginProblems(settings, before);
}

/** Problems with the logins in Secrets of the release devops. */
function* loginProblems(settings: Settings, roles: readonly Role[]): Generator<Problem> {
  const path = ['releases', 'devops', 'databaseSecrets'];
  const secrets = valueAt(settings, path);
  const here = [undefined, '{{ .Values.database.host }}', settings.database.host];
  for (const [name, secret] of Object.entries(isTree(secrets) ? secrets : {})) {
    if (!isTree(secret) || !here.includes(secret.host as string | undefined)) continue;
    const role = roles.find((other) => other.name === secret.user);
    if (role === undefined)
      yield { path: [...path, name, 'user'], rule: 'a role of `database.applications`' };
    else if (secret.password !== role.password)
      yield {
        path: [...path, name, 'password'],
        rule: `the secret of the role \`${role.name}\`: ${role.password || 'it has none'}`,
      };
  }
}

/** Settings whose templates helmfile fills in; the ingress controller's values go to its chart unchanged. */
const templated = /^(?:releases\.|charts\.[^.]+\.values\.|ingress\.(?:chart\.)?values\.)/;

/** In a template, anything may stand in comments and in an action's literals (https://pkg.go.dev/text/template). */
const comment = /{{(?:-\s)?\/\*.*?\*\/(?:\s-)?}}/gs;
const action = /{{(?:"(?:\\.|[^"\\])*"|`[^`]*`|[^"`])*?}}/g;
const literal = /"(?:\\.|[^"\\])*"|`[^`]*`/g;

/** Those that the tasks also read, without filling them in. */
const readHere =
  /^releases\.(?:devops\.databaseSecrets\.[^.]+\.(?:user|namespace)|postgresql\.tls\.existingSecret|[^.]+\.(?:kind|autoscaling\.kind))$/;

/** Settings that may contain a secret; helm stores values in the cluster. */
const mayBeSecret =
  /^(?:releases\.(?:devops|postgresql)\.|database\.(?:applications|issuers)\.[^.]+\.password$)/;

/** vals, in helmfile, replaces it anywhere in a text. */
const valsReference = /ref\+[^+:]*:\/\//;

const stateFile = /^state:\/\/[\w-][\w./-]*$/;

const looksLikeRange = /^(?:\d+(?:\.\d+){3}|[\da-f]*:[\da-f:.]*)\/\d+$/i;

function* textProblems(settings: Settings): Generator<Problem> {
  for (const { path, value } of leavesOf(settings)) {
    const rule = typeof value === 'string' ? brokenRule(path.join('.'), value, settings) : undefined;
    if (rule !== undefined) yield { path, rule };
  }
}

function brokenRule(name: string, text: string, settings: Tree): string | undefined {
  if (valsReference.test(text))
    return `a text without \`ref+\`, which helmfile would replace; a secret is ${secretForm}`;
  if (text.includes('sops://')) {
    if (secretKey(text) === undefined) return `${secretForm}, and nothing else`;
    if (!mayBeSecret.test(name))
      return 'no secret, as only the releases devops and postgresql and the roles of the database have any';
  }
  if (text.includes('state://') && !stateFile.test(text)) return 'state://FILE and nothing else';
  if (text.includes('{{')) {
    if (!templated.test(name) || readHere.test(name))
      return 'plain text and no template, as the tasks read it, too';
    return name.startsWith('ingress.') ? undefined : brokenTemplate(text, settings);
  }
  if (!looksLikeRange.test(text) || addressRange(text) !== undefined) return undefined;
  const plain = plainForm(text);
  return plain === undefined
    ? 'a range of addresses such as `10.0.0.0/8`'
    : `the range in its IPv4 form: \`${plain}\``;
}

/** helmfile says neither which release nor which setting has a wrong template. */
function brokenTemplate(text: string, settings: Tree): string | undefined {
  const actions = text.replaceAll(comment, '');
  if (actions.replaceAll(action, '').includes('{{')) return 'a template that ends each `{{` with `}}`';
  const code = (actions.match(action) ?? []).join('').replaceAll(literal, '""');
  // Under a condition, such as `hasKey`, a setting need not exist.
  if (/\b(?:if|with|range|and|or)\b/.test(code)) return undefined;
  const used = [...code.matchAll(/\.Values\.([\w.]+)/g)].map(([, path = '']) => path);
  // helmfile gives its name to the environment.
  const missing = used.find(
    (path) => path !== 'environment' && valueAt(settings, path.split('.')) === undefined,
  );
  return missing && `a template of settings that exist, and \`${missing}\` does not`;
}
