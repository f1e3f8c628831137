import * as v from 'valibot';
import { providerNames } from '../cluster/providers.ts';
import { anyMap, flag, map, mapOf, text, wholeNumber } from '../ground/schema.ts';
import { addressRange, isNetwork } from './ranges.ts';
import { secretForm, secretPattern } from './secret-reference.ts';

/*
 * Schema of an environment's merged settings, which helmfile reads too. environments/common.yaml has defaults and
 * documentation. After a change: `npm run schemas`.
 */

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const hostName = new RegExp(`^${label}(?:\\.${label})*$`);
/** Name of a Kubernetes object. */
const nameOrEmpty = /^(?:[a-z0-9][a-z0-9.-]*)?$/;
const port = v.pipe(wholeNumber('a port number'), v.maxValue(65_535, 'a port number'));
const anyText = v.string('a text');

/** Image name without tag and digest (https://github.com/distribution/reference). */
const imageName = '[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?::\\d+)?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*';
const digest = 'sha256:[0-9a-f]{64}';

/** Options of `minikube start` that the tasks set, or that prevent it from starting a cluster. */
const ownOptions =
  'profile|driver|vm-driver|nodes|cpus|memory|kubernetes-version|cni|container-runtime|base-image|wait|interactive|dry-run|download-only|help|output';

const isPodRange = (value: string): boolean => {
  const range = addressRange(value);
  return range !== undefined && isNetwork(range);
};
const podRange = 'a network such as `10.244.0.0/16`, with no bit set behind its length';

/** An unquoted SQL name in lower case, valid in every statement. */
const sqlName = '[a-z_][a-z0-9_]{0,62}$';

/**
 * Excludes names that PostgreSQL refuses for a role or interprets when unquoted; `streaming_replica` belongs to
 * CloudNativePG (https://www.postgresql.org/docs/17/sql-createrole.html).
 */
export const roleForm = new RegExp(
  `^(?!(?:pg_.*|public|none|user|current_user|current_role|session_user|streaming_replica)$)${sqlName}`,
);
const roleName = 'a name of a-z, 0-9 and `_` that PostgreSQL does not keep for itself';

const secret = text(secretForm, secretPattern);

/** PostgreSQL roles by name; `null` removes one in an environment. */
const roles = (password: typeof secret) =>
  mapOf(v.nullable(map({ password })), text(`a role with ${roleName}`, roleForm));

const chart = map({
  chart: text('the name or folder of a chart'),
  version: v.optional(anyText),
  values: v.optional(anyMap),
});

const image = map({
  repository: text('the name of an image, without its tag', new RegExp(`^${imageName}$`)),
  tag: text('a tag as text, such as "1.2.0"', /^\w[\w.-]{0,127}$/),
  digest: text('sha256:…, or empty', new RegExp(`^(?:${digest})?$`)),
  build: text('a folder of the project with a Dockerfile, or empty', /^(?!\/|(?:[\s\S]*\/)?\.\.(?:\/|$))/),
});

/** What a release has besides its chart's values. */
const ofRelease = { installed: v.optional(flag) };

/** Address ranges; `textProblems` in lib/settings/check.ts checks their form. */
const cidrs = different('an address range such as `10.0.0.0/8`', /^[\da-fA-F.:]+\/\d+$/);

export const settingsSchema = map({
  include: different(
    'a file of environments/cloud/, such as `cloud/gke.yaml`',
    /^cloud\/[\w-][\w.-]*\.yaml$/,
  ),
  domain: text('a DNS name', hostName),
  production: flag,
  sops: map({ key: text('a path'), allowDevelopmentKeys: flag }),
  cluster: map({
    provider: v.picklist(
      ['', ...providerNames],
      `${providerNames.map((name) => `\`${name}\``).join(', ')} or empty`,
    ),
    kubernetesVersion: text('a version such as `v1.31.0`', /^v\d+\.\d+\.\d+$/),
    nodes: wholeNumber(),
    cpus: wholeNumber(),
    memoryMB: wholeNumber('a whole number of MB, at least 1'),
    cni: text('a network that minikube knows, or a manifest', /^[\w./][^\n]*$/),
    podCidr: v.pipe(text(podRange), v.check(isPodRange, podRange)),
    apiServerCidrs: cidrs,
    nodeCidrs: cidrs,
    dnsCidrs: cidrs,
    driver: text('a driver of minikube', /^[a-z][a-z0-9]*$/),
    containerRuntime: v.picklist(
      ['', 'docker', 'containerd', 'cri-o'],
      '`docker`, `containerd`, `cri-o` or empty',
    ),
    baseImage: text('an image, or empty', new RegExp(`^(?:${imageName}(?::[\\w.-]+)?(?:@${digest})?)?$`)),
    startArguments: different(
      'an option `--name` or `--name=value` that no other setting gives',
      new RegExp(`^--(?!(?:${ownOptions})(?:=|$))[a-z][a-z0-9-]*(?:=.*)?$`),
    ),
    addons: different('the name of an addon', /^[a-z0-9][a-z0-9-]*$/),
    storageClass: text('the name of a class, or empty', nameOrEmpty),
    context: anyText,
  }),
  ingress: map({
    controller: v.picklist(['traefik', 'nginx', 'none'], '`traefik`, `nginx` or `none`'),
    kind: v.picklist(['ingress', 'httproute'], '`ingress` or `httproute`'),
    namespace: text(
      'the name of a namespace without releases, or empty',
      new RegExp(`^(?!(?:core|vault|database|backend|frontend)$)(?:${label})?$`),
    ),
    loadBalancer: map({ cidrs, proxyProtocol: flag }),
    address: text('a host or host:port, or empty', /^(?:[\w.-]+(?::\d{1,5})?)?$/),
    tls: map({
      enabled: flag,
      existingSecret: text('the name of a Secret, or empty', nameOrEmpty),
      clusterIssuer: text('the name of an issuer, or empty', nameOrEmpty),
      port,
    }),
    chart: map({ ...chart.pipe[1].entries, version: anyText, repository: anyText }),
    values: anyMap,
  }),
  images: v.pipe(anyMap, v.objectWithRest({ backendVerification: image }, image)),
  gitops: map({
    repository: text(
      'the address of a git repository without a password, or empty',
      /^(?:(?:https:\/\/|ssh:\/\/git@|git@)[^\s@]+)?$/,
    ),
  }),
  buildArguments: mapOf(anyText, text('a name of letters, digits and `_`', /^[A-Za-z_]\w*$/)),
  database: map({
    host: text('a host name', hostName),
    port,
    user: text(roleName, roleForm),
    name: text(
      'a name of a-z, 0-9 and `_`, and not that of a template',
      new RegExp(`^(?!template[01]$)${sqlName}`),
    ),
    applications: roles(text(`${secretForm}, or empty`, new RegExp(`^$|${secretPattern.source}`))),
    issuers: roles(secret),
    sslmode: v.picklist(['verify-full', 'verify-ca', 'require'], '`verify-full`, `verify-ca` or `require`'),
  }),
  vault: map({
    // Vault serves only TLS.
    address: text('an https URL', /^https:\/\/[\w.:[\]-]+(?:\/[\w./-]*)?$/),
    tls: map({
      clusterIssuer: text('the name of an issuer, or empty', nameOrEmpty),
      hosts: v.pipe(
        different(
          'a host name or an IP address',
          new RegExp(`^(?:(?:\\*\\.)?${hostName.source.slice(1, -1)}|[0-9a-f]*:[0-9a-f:.]*)$`),
        ),
        v.minLength(1, 'a list of at least one text'),
      ),
    }),
    auditLog: text('an absolute path or `stdout`', /^(stdout|\/[^\r\n]+)$/),
    databaseAddress: text('HOST:PORT, or empty', /^(?:[\w.[\]:-]+:\d{1,5})?$/),
  }),
  monitoring: map({
    enabled: flag,
    labels: mapOf(anyText),
    prometheus: map({
      namespace: text('the name of a namespace', new RegExp(`^${label}$`)),
      podLabels: mapOf(anyText),
    }),
    runbooks: text('an address'),
  }),
  charts: mapOf(chart),
  releases: v.pipe(
    anyMap,
    v.objectWithRest(
      { postgresql: v.pipe(anyMap, v.looseObject({ ...ofRelease, password: secret })) },
      v.pipe(anyMap, v.looseObject(ofRelease)),
    ),
  ),
});

function different(rule: string, form: RegExp) {
  const list = `a list of different texts, each ${rule}`;
  return v.pipe(
    v.array(text(rule, form), list),
    v.check((texts) => new Set(texts).size === texts.length, list),
  );
}

export type Settings = v.InferOutput<typeof settingsSchema>;
export type ChartSetting = v.InferOutput<typeof chart>;
export type ImageSetting = v.InferOutput<typeof image>;
export type DatabaseRoles = Settings['database']['applications'];
