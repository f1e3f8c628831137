import { isTree, type Tree, valueAt } from '../ground/tree.ts';
import { type AddressRange, addressRange, holdEverybody, isWithin, plainForm } from './address-range.ts';
import type { Rule } from './rules.ts';
import { secretForm, secretKey } from './secret-reference.ts';

type Text = { readonly path: readonly string[]; readonly text: string };

function textsOf(value: unknown, path: readonly string[] = []): readonly Text[] {
  if (typeof value === 'string') return [{ path, text: value }];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, below]) => textsOf(below, [...path, key]));
}

/** Where helmfile fills in templates; the values of the ingress controller go to its chart as they are. */
const templated = /^(?:releases\.|charts\.[^.]+\.values\.|ingress\.(?:chart\.)?values\.)/;

/** Texts there that the tasks read as well, unfilled. */
const readHere =
  /^releases\.(?:devops\.databaseSecrets\.[^.]+\.(?:user|namespace)|postgresql\.tls\.existingSecret|[^.]+\.(?:kind|autoscaling\.kind))$/;

/** Where a secret may be a value: helm keeps values in the cluster. */
const mayBeSecret =
  /^(?:releases\.(?:devops|postgresql)\.|database\.(?:applications|issuers)\.[^.]+\.password$)/;

/** vals, in helmfile, replaces it wherever it stands in a text. */
const valsReference = /ref\+[^+:]*:\/\//;

const stateFile = /^state:\/\/[\w-][\w./-]*$/;

const looksLikeRange = /^(?:\d+(?:\.\d+){3}|[\da-f]*:[\da-f:.]*)\/\d+$/i;

/** Rules for texts that helmfile makes something else of. */
export function textRules(settings: Tree): readonly Rule[] {
  return [...textsOf(settings).flatMap(rulesFor), ...rangeRules(settings)];
}

function rulesFor({ path, text }: Text): readonly Rule[] {
  const name = path.join('.');
  const refused = (rule: string, holds = false): Rule => [path, rule, () => holds];
  return [
    ...(valsReference.test(text)
      ? [refused(`a text without \`ref+\`, which helmfile would replace; a secret is ${secretForm}`)]
      : []),
    ...(text.includes('sops://')
      ? [
          refused(`${secretForm}, and nothing else`, secretKey(text) !== undefined),
          refused(
            'no secret, as only the releases devops and postgresql and the roles of the database have any',
            mayBeSecret.test(name),
          ),
        ]
      : []),
    ...(text.includes('state://') ? [refused('state://FILE and nothing else', stateFile.test(text))] : []),
    ...(text.includes('{{') && (!templated.test(name) || readHere.test(name))
      ? [refused('plain text and no template, as the tasks read it, too')]
      : []),
    ...(looksLikeRange.test(text) ? [refused(rangeForm(text), addressRange(text) !== undefined)] : []),
  ];
}

function rangeForm(text: string): string {
  const plain = plainForm(text);
  return plain === undefined
    ? 'a range of addresses such as `10.0.0.0/8`'
    : `the range in its IPv4 form: \`${plain}\``;
}

function rangeRules(settings: Tree): readonly Rule[] {
  const podCidr = valueAt(settings, ['cluster', 'podCidr']);
  const filled = (value: unknown) =>
    addressRange(value === '{{ .Values.cluster.podCidr }}' ? podCidr : value);
  return [...whitelistRules(settings, filled), ...exceptRules(settings, filled)];
}

type Filled = (value: unknown) => AddressRange | undefined;

/** Routes that are not for everybody. */
function whitelistRules(settings: Tree, filled: Filled): readonly Rule[] {
  return Object.entries(isTree(settings.releases) ? settings.releases : {}).flatMap(([name, release]) =>
    ['adminWhitelist', 'internalWhitelist'].map((key): Rule => {
      const ranges = listAt(valueAt(release, ['ingress']), key).flatMap((range) => filled(range) ?? []);
      return [
        ['releases', name, 'ingress', key],
        'ranges that do not take in everybody together',
        () => !holdEverybody(ranges),
      ];
    }),
  );
}

/** NetworkPolicies: what is excepted from a range has to be within it, and so of its family. */
function exceptRules(settings: Tree, filled: Filled): readonly Rule[] {
  const path = ['releases', 'devops', 'outside'];
  const outside = valueAt(settings, path);
  return Object.entries(isTree(outside) ? outside : {}).flatMap(([name, entry]) =>
    listAt(entry, 'ranges').flatMap((range, index) => {
      const outer = filled(valueAt(range, ['cidr']));
      if (outer === undefined) return [];
      return listAt(range, 'except').flatMap((except, position): Rule[] => {
        const inner = filled(except);
        const place = [...path, name, 'ranges', String(index), 'except', String(position)];
        const rule = `a part of \`${valueAt(range, ['cidr'])}\``;
        return inner === undefined ? [] : [[place, rule, () => isWithin(inner, outer)]];
      });
    }),
  );
}

function listAt(value: unknown, key: string): readonly unknown[] {
  const list = valueAt(value, [key]);
  return Array.isArray(list) ? list : [];
}
