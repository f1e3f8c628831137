import type { Problem } from '../ground/schema.ts';
import { type Tree, valueAt } from '../ground/tree.ts';
import { addressRange, plainForm } from './address-range.ts';
import type { Settings } from './schema.ts';
import { secretForm, secretKey } from './secret-reference.ts';

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

export function* textProblems(settings: Settings): Generator<Problem> {
  for (const { path, text } of textsOf(settings)) {
    const rule = brokenRule(path.join('.'), text, settings);
    if (rule !== undefined) yield { path, rule };
  }
}

function* textsOf(
  value: unknown,
  path: readonly string[] = [],
): Generator<{ path: readonly string[]; text: string }> {
  if (typeof value === 'string') yield { path, text: value };
  if (typeof value !== 'object' || value === null) return;
  for (const [key, below] of Object.entries(value)) yield* textsOf(below, [...path, key]);
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
