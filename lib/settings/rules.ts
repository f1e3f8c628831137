import { isTree, type Tree } from '../ground/tree.ts';
import { addressRange, isNetwork } from './address-range.ts';
import { type ProviderName, providerNames } from './provider-names.ts';
import { databaseName, isDatabaseName, isRoleName, roleName, roleRules } from './roles.ts';
import { shapeRules } from './shape.ts';
import { textRules } from './texts.ts';

/** What a setting has to be, in words that follow "to be", and whether a value is. */
export type Rule = readonly [path: readonly string[], rule: string, holds: (value: unknown) => boolean];

const isText = (form: RegExp) => (value: unknown) => typeof value === 'string' && form.test(value);

const isListOf = (form: RegExp) => (value: unknown) =>
  Array.isArray(value) && new Set(value).size === value.length && value.every(isText(form));

const isOneOf =
  (...words: readonly unknown[]) =>
  (value: unknown) =>
    words.includes(value);

const isCount = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 1;

const isPort = (value: unknown): boolean => isCount(value) && Number(value) <= 65_535;

/** Options of `minikube start` that the tasks give themselves, or that would make it something else than a start. */
const ownOptions =
  'profile|driver|vm-driver|nodes|cpus|memory|kubernetes-version|cni|container-runtime|base-image|wait|interactive|dry-run|download-only|help|output';
const startOption = new RegExp(`^--(?!(?:${ownOptions})(?:=|$))[a-z][a-z0-9-]*(?:=.*)?$`);

/** An image's name, without tag and digest (https://github.com/distribution/reference). */
const imageName = /^[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?::\d+)?(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*$/;
const imageReference = new RegExp(
  `^(?:${imageName.source.slice(1, -1)}(?::[\\w.-]+)?(?:@sha256:[0-9a-f]{64})?)?$`,
);

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const hostName = new RegExp(`^${label}(?:\\.${label})*$`);
const objectName = new RegExp(`^(?:${label})?$`);

const isPodRange = (value: unknown): boolean => {
  const range = addressRange(value);
  return range !== undefined && isNetwork(range);
};

const rules: readonly (readonly [path: string, rule: string, holds: (value: unknown) => boolean])[] = [
  ['domain', 'a DNS name', isText(hostName)],
  ['production', '`true` or `false`', isOneOf(true, false)],
  ['cluster.provider', '`minikube`, `embedded`, `existing` or empty', isOneOf('', ...providerNames)],
  ['sops.key', 'a path', isText(/./)],
  ['cluster.kubernetesVersion', 'a version such as `v1.31.0`', isText(/^v\d+\.\d+\.\d+$/)],
  ['cluster.nodes', 'a whole number from 1 up', isCount],
  ['cluster.cpus', 'a whole number from 1 up', isCount],
  ['cluster.memoryMB', 'a whole number of MB from 1 up', isCount],
  ['cluster.cni', 'a network that minikube knows, or a manifest', isText(/^[\w./][^\n]*$/)],
  ['cluster.podCidr', 'a network such as `10.244.0.0/16`, with no bit set behind its length', isPodRange],
  ['cluster.driver', 'a driver of minikube', isText(/^[a-z][a-z0-9]*$/)],
  [
    'cluster.containerRuntime',
    '`docker`, `containerd`, `cri-o` or empty',
    isOneOf('docker', 'containerd', 'cri-o', ''),
  ],
  ['cluster.baseImage', 'an image, or empty', isText(imageReference)],
  [
    'cluster.startArguments',
    'a list of options `--name` or `--name=value`, none of which another setting gives',
    isListOf(startOption),
  ],
  ['cluster.addons', 'a list of different names of addons', isListOf(/^[a-z0-9][a-z0-9-]*$/)],
  ['cluster.storageClass', 'the name of a class, or empty', isText(/^(?:[a-z0-9][a-z0-9.-]*)?$/)],
  ['ingress.controller', '`traefik`, `nginx` or `none`', isOneOf('traefik', 'nginx', 'none')],
  ['ingress.kind', '`ingress` or `httproute`', isOneOf('ingress', 'httproute')],
  ['ingress.namespace', 'the name of a namespace, or empty', isText(objectName)],
  ['ingress.address', 'a host or host:port, or empty', isText(/^(?:[\w.-]+(?::\d{1,5})?)?$/)],
  ['ingress.tls.port', 'a port number', isPort],
  ['ingress.tls.existingSecret', 'the name of a Secret, or empty', isText(/^(?:[a-z0-9][a-z0-9.-]*)?$/)],
  ['ingress.tls.clusterIssuer', 'the name of an issuer, or empty', isText(/^(?:[a-z0-9][a-z0-9.-]*)?$/)],
  ['ingress.chart.chart', 'the name or folder of a chart', isText(/./)],
  ['database.host', 'a host name', isText(hostName)],
  ['database.port', 'a port number', isPort],
  ['database.user', roleName, isRoleName],
  ['database.name', databaseName, isDatabaseName],
  ['vault.address', 'a URL', isText(/^https?:\/\/[\w.:[\]-]+(?:\/[\w./-]*)?$/)],
  ['vault.auditLog', 'an absolute path or `stdout`', isText(/^(stdout|\/[^\r\n]+)$/)],
  ['vault.databaseAddress', 'HOST:PORT, or empty', isText(/^(?:[\w.[\]:-]+:\d{1,5})?$/)],
  [
    'buildArguments',
    'a map of names and texts',
    (value) =>
      isTree(value) &&
      Object.entries(value).every(([name, text]) => /^[A-Za-z_]\w*$/.test(name) && typeof text === 'string'),
  ],
];

/** A tag that YAML takes for a number is another one for helmfile than here: `1.10`, `010`. */
const imageRules = (images: unknown): Rule[] =>
  Object.keys(isTree(images) ? images : {}).flatMap((name): Rule[] => [
    [['images', name, 'repository'], 'the name of an image, without its tag', isText(imageName)],
    [['images', name, 'tag'], 'a tag as text, such as "1.2.0"', isText(/^\w[\w.-]{0,127}$/)],
    [['images', name, 'digest'], 'sha256:…, or empty', isText(/^(?:sha256:[0-9a-f]{64})?$/)],
    [
      ['images', name, 'build'],
      'a folder of the project with a Dockerfile, or empty',
      (value) => typeof value === 'string' && !/^\/|(?:^|\/)\.\.(?:\/|$)/.test(value),
    ],
  ]);

/** The networks that minikube brings take this range, whatever `podCidr` says; one of somebody's manifest may take another. */
const minikubeRange = '10.244.0.0/16';

const minikubeRules = (cni: unknown, provider: ProviderName): Rule[] =>
  provider === 'minikube' && !/[./]/.test(String(cni))
    ? [
        [
          ['cluster', 'podCidr'],
          `${minikubeRange}, which minikube gives to its network \`${cni}\``,
          (value) => value === minikubeRange,
        ],
      ]
    : [];

/** All rules of the settings, in the order in which they are checked; `known` are the settings of common.yaml. */
export function settingsRules(settings: Tree, known: Tree, provider: ProviderName): readonly Rule[] {
  const { maps, others } = shapeRules(settings, known);
  const cluster = isTree(settings.cluster) ? settings.cluster : {};
  return [
    ...maps,
    ...rules.map(([path, rule, holds]): Rule => [path.split('.'), rule, holds]),
    ...imageRules(settings.images),
    ...minikubeRules(cluster.cni, provider),
    ...others,
    ...roleRules(settings),
    ...textRules(settings),
  ];
}
