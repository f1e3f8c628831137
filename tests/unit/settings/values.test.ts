import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../lib/ground/project.ts';
import { declaredValues } from '../../../lib/helm/helmfile.ts';
import { loadSettings } from '../../../lib/settings/settings.ts';
import { copyOf } from '../../rig/project-copy.ts';
import { failureOf } from '../../rig/task-context.ts';

/*
 * What helmfile (vals, templates) and the tasks both read: settings that only one of them would understand, or that
 * they would understand differently, are refused with their place.
 */

const clone = copyOf('environments');
const file = 'environments/development/zz.yaml';

const load = (settings: string) => {
  writeFileSync(join(clone.folder, file), settings);
  return loadSettings({ name: 'development', provider: 'embedded', root: clone.folder });
};

const refusal = async (settings: string): Promise<string> => {
  const { what, why = '', advice = '' } = await failureOf(load(settings));
  return `${what} | ${why} | ${advice}`;
};

const tree = (path: string, value: unknown): string =>
  JSON.stringify(path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value));

const baseImages = ['', 'mirror.test:5000/kicbase:v0.0.50', `a@sha256:${'a'.repeat(64)}`];
const startOptions = [[], ['--preload=false', '--a=https://b']];
const notOptions = [
  ...'-p --profile=x --nodes=7 --dry-run --help foo'.split(' ').map((word) => [word]),
  [''],
  'x',
];
const notAddons = [['-x'], ['a b'], ['ingress', 'ingress'], 'ingress'];
const fixed = (await declaredValues(root, 'namespace')).concat('A');
const hosts = ['vault.vault.svc', '*.vault-internal', '127.0.0.1', '::1'];
const notNetworks = [
  ...'foo 10.244.0.0 10.0.0.0/99 10.244.0.1/16 0.0.0.0/0 ::/0 010.0.0.0/8 fd00::1/48'.split(' '),
  ...'fe80::%eth0/64 10.244.0.0/16,10.0.0.0/8 10.244.0.0/016 :::/64 ::ffff:10.244.0.0/112'.split(' '),
  ...['10.244.0.0/16 ', 5],
];

/** The rule of each setting, with values that are accepted and others that are refused. */
for (const [path, rule, good, bad] of [
  ['domain', 'a DNS name', ['zones.test'], ['Not A Name']],
  ['production', '`true` or `false`', [], ['true']],
  ['cluster.provider', '`minikube`, `embedded`, `existing` or empty', ['', 'embedded'], [['embedded']]],
  ['cluster.kubernetesVersion', 'a version such as `v1.31.0`', ['v1.30.2'], [1.31, '1.31']],
  ['cluster.nodes', 'a whole number, at least 1', [1], ['3', 0]],
  ['cluster.cni', 'a network that minikube knows', ['calico', '/etc/cni.yaml'], ['', '-x', 5]],
  ['cluster.podCidr', 'a network such as', ['100.64.0.0/10', 'fd00:10:244::/56'], notNetworks],
  ['cluster.driver', 'a driver of minikube', ['docker', 'kvm2'], ['', '--foo', 5]],
  ['cluster.containerRuntime', '`docker`', ['', 'containerd', 'cri-o'], ['bogus', '--foo']],
  ['cluster.baseImage', 'an image, or empty', baseImages, ['--foo', 'a b']],
  ['cluster.startArguments', 'an option `--name`', startOptions, notOptions],
  ['cluster.addons', 'the name of an addon', [[], ['ingress']], notAddons],
  ['cluster.storageClass', 'the name of a class', ['', 'csi-hostpath-sc'], ['A b', 3]],
  ['cluster.context', 'a text', ['', 'arn:aws:eks:x'], [5]],
  ['ingress.controller', '`traefik`, `nginx` or `none`', ['none'], ['haproxy']],
  ['ingress.namespace', 'a namespace without releases, or empty', ['', 'ingress', 'core2'], fixed],
  ['ingress.tls.enabled', '`true` or `false`', [true], ['false']],
  ['ingress.tls.port', 'a port number', [8443], [65_536]],
  ['images.backendVerification.tag', 'a tag as text', ['1.2.0'], ['a b', '-x', 15, true, null]],
  ['images.backend.digest', 'sha256:…', ['', `sha256:${'a'.repeat(64)}`], ['latest', 15]],
  ['images.backend.build', 'a folder', ['', 'docker/..x'], ['/docker', '../docker', 'docker/..', ['a']]],
  ['images.backend.repository', 'the name of an image', ['host:5000/a'], ['UPPER/a', 'a:tag', '--x']],
  ['buildArguments', 'a', [{ A_B: 'x' }], [{ NODE: 22 }, { 'A B': 'x' }, { 'A=B': 'x' }, { '': 'x' }]],
  ['database.port', 'a port number', [5433], ['5432']],
  ['database.sslmode', '`verify-full`, `verify-ca` or `require`', ['verify-ca'], ['disable', 'nonsense', 5]],
  ['vault.tls.hosts', 'a list of at least one text', [['vault.vault.svc']], [[]]],
  ['vault.tls.hosts', 'different texts, each a host name or an IP address', [hosts], ['vault', ['a', 'a']]],
  ['vault.auditLog', 'an absolute path', ['stdout', '/a'], [true, 'a']],
  ['charts', 'a map', [], [null]],
  ['charts.reloader.version', 'a text', ['2.2'], [2.2]],
  ['charts.vault.values', 'a map', [{}], [[]]],
  ['releases.app1-back', 'a map', [{}], [null]],
] as const)
  test(`${path} accepts what its reader accepts; other values are refused with rule and place`, async () => {
    for (const value of good) await load(tree(path, value));
    for (const value of bad) {
      const refused = await refusal(tree(path, value));
      // Of a list or a map: the entry.
      const begin = `expected setting \`${path}${/^cluster\.(?:start|addons)|^build/.test(path) ? '' : '`'}`;
      assert.ok(refused.startsWith(begin) && refused.includes(rule), refused);
      assert.match(refused, ` | ${file}:1 sets it | `);
    }
  });

test('the error shows the value, and says when quotes are missing', async () => {
  const of = 'of environment `development` to be';
  const domain = `expected setting \`domain\` ${of} a DNS name, got the text \`Not A Name\``;
  const tag = `expected setting \`images.backend.tag\` ${of} a tag as text, such as "1.2.0", got the number \`15\``;
  for (const [settings, refused] of [
    ['domain: "Not A Name"', `${domain} | ${file}:1 sets it | correct it in ${file}:1`],
    ['# mine\nimages: { backend: { tag: 15 } }', `${tag} | ${file}:2 sets it | write it in quotes: "15"`],
  ] as const)
    assert.is(await refusal(settings), refused);
});

test('a text or a list in place of a map of names is named, and not its parts', async () => {
  for (const group of ['charts', 'images', 'releases', 'database.applications'])
    for (const value of ['abc', ['abc'], null])
      assert.match(await refusal(tree(group, value)), `setting \`${group}\` of environment`);
});

test('names that every JavaScript object has are unknown settings like any other', async () => {
  for (const name of ['constructor', 'toString', '__proto__']) {
    assert.match(await refusal(`${name}: {}`), `${file}:1 has an unknown setting \`${name}\``);
    assert.match(await refusal(`charts: { ${name}: {} }`), `unknown setting \`charts.${name}\``);
  }
  // What valibot's `record` skips.
  for (const name of ['constructor', 'prototype', '__proto__'])
    assert.match(
      await refusal(`database: { applications: { ${name}: {} } }`),
      '`database.applications` of environment `development` to be a map without the names',
    );
});

const secret = (key: string) => `sops://database.yaml#/${key}`;
const ofApp2 = secret('app2Password');
const role = (name: string, password: unknown) => tree(`database.applications.${name}.password`, password);
const issuer = (name: string, password: string) => tree(`database.issuers.${name}.password`, password);
const rolePath = 'database.applications.unused.password';
const secretForm = 'sops://FILE.yaml#/KEY, with a key of the first level';
const renamed = (group: string, password: string) =>
  tree('database', { user: 'admin', name: 'admin', [group]: { postgres: { password } } });
const oneName = 'a role with a name that no other role or database has';
const login = 'releases.devops.databaseSecrets.other';
const loginAs = (user: string, password: string, namespace = 'backend') =>
  tree(login, { namespace, host: '{{ .Values.database.host }}', port: 1, name: user, user, password });
const ranges = 'releases.devops.outside.kubelets.ranges.0.except.0';
const except = (cidr: string, range: string) =>
  `releases: { devops: { outside: { kubelets: { ranges: [{ cidr: "${cidr}", except: ["${range}"] }] } } } }`;
const list = (name: string, text: string) => `releases: { app1-front: { ingress: { ${name}: [${text}] } } }`;
const ipv4 = [
  ['::ffff:0:0/96', '0.0.0.0/0'],
  ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
  ['0:0:0:0:0:FFFF:c0a8:0107/128', '192.168.1.7/32'],
] as const;
const noRanges = [
  ...['10.0.0.0/33', '::ffff:10.0.0.0/90', '256.0.0.0/8', '10.0.0.0/08', ':::/64', 'fd00::/129'],
  '1:2:3:4:5:6:7:8:9/64',
];

/** Settings, the one of them that is refused, and its rule. */
type Refused = readonly [settings: string, path: string, rule: string];

const both = { existingSecret: 'a', clusterIssuer: 'b' };
const pods = '{{ .Values.cluster.podCidr }}';
const everybody = 'ranges that do not take in everybody together';
const whitelist = (name: string, text: string, position: string, rule: string): Refused => [
  ...([list(`${name}Whitelist`, text), `releases.app1-front.ingress.${name}Whitelist${position}`] as const),
  rule,
];

const installed = (release: string, value: unknown) => tree(`releases.${release}.installed`, value);
const balanced = (cidrs: string, whitelist = '10.0.0.0/8') =>
  `ingress: { loadBalancer: { cidrs: [${cidrs}] } }\n${list('adminWhitelist', whitelist).replace('app1-front', 'frontend')}`;
const proxied = (cidrs: string, controller = 'traefik') =>
  `ingress: { controller: ${controller}, loadBalancer: { cidrs: [${cidrs}], proxyProtocol: true } }\n`;
const balancers = 'ingress.loadBalancer.cidrs';
const openedBy = 'releases.frontend.ingress.adminWhitelist';

const groups: { readonly [title: string]: readonly Refused[] } = {
  'a load balancer that hides the client may be in no range that opens a route': [
    [balanced('10.9.0.0/16'), openedBy, 'ranges without the load balancers'],
    [balanced('10.9.0.0/16', '10.9.7.7/32'), openedBy, 'ranges without the load balancers'],
    [balanced('10.244.7.0/24', '192.0.2.0/24'), balancers, 'outside cluster.podCidr (10.244.0.0/16)'],
    [proxied(''), balancers, ''],
    [proxied('10.9.0.0/16', 'nginx'), 'ingress.loadBalancer.proxyProtocol', ''],
  ],
  'a reference to a secret has one form': [
    ...[
      ...['sops://x.yaml#/app2/db', 'sops://x.yaml', 'sops://x.yaml#/a/0', 'sops://x.yaml#/a%20b'],
      ...['sops://x.yaml?key_type=filepath#/a', 'sops://x.json#/a', 'sops://../../lab/secrets/x.yaml#/a'],
      ...['sops://x.yaml#/sops', ' sops://x.yaml#/a', 'ref+sops://x.yaml#/a'],
    ].map((reference): Refused => [role('unused', reference), rolePath, secretForm]),
    [tree('releases.postgresql.password', 'sops://x.yaml#/a/b'), 'releases.postgresql.password', secretForm],
    ['releases: { devops: { a: { b: ["sops://x.yaml#/a/b"] } } }', 'releases.devops.a.b.0', secretForm],
    ['releases: { devops: { a: see sops://x.yaml#/a } }', 'releases.devops.a', secretForm],
  ],
  'roles of the database have names and secrets of their own': [
    [role('unused', ofApp2), rolePath, 'a secret of its own, and not that of `app2`'],
    [role('unused', secret('password')), rolePath, 'a secret of its own, and not that of `postgres`'],
    [issuer('other', ofApp2), 'database.issuers.other.password', 'a secret of its own'],
    ['database: { user: app2 }', 'database.applications.app2', oneName],
    [issuer('app1', secret('a')), 'database.issuers.app1', oneName],
    [role('template1', ''), 'database.applications.template1', oneName],
    // Every server has the database postgres, those of CloudNativePG a superuser postgres.
    [renamed('applications', ''), 'database.applications.postgres', oneName],
    [renamed('issuers', secret('a')), 'database.issuers.postgres', oneName],
    ['database: { name: template0 }', 'database.name', 'a name of a-z, 0-9 and `_`, and not that of a'],
    [role('App3', ''), 'database.applications.App3', 'a role with a name of a-z'],
    [tree('database.applications.unused', secret('a')), 'database.applications.unused', 'a map, got a text'],
    [issuer('vault', ''), 'database.issuers.vault.password', secretForm],
  ],
  'pods log in as a role, with its secret': [
    [loginAs('gone', secret('a')), `${login}.user`, 'a role of `database.applications`'],
    [loginAs('app2', secret('b')), `${login}.password`, `the secret of the role \`app2\`: ${ofApp2}`],
    // Vault creates its logins.
    [loginAs('app1', secret('b')), `${login}.password`, 'the secret of the role `app1`: it has none'],
  ],
  'texts that helmfile would change are refused': [
    ['releases: { app1-back: { a: "x ref+echo://y" } }', 'releases.app1-back.a', 'a text without `ref+`'],
    ...[
      ['{{ .Values.nonsense }}', 'a template of settings that exist, and `nonsense` does not'],
      ['{{ `}}` }}{{ .Values.domain.a }}', 'a template of settings that exist, and `domain.a` does not'],
      ['{{ .Values.domain', 'a template that ends each `{{` with `}}`'],
    ].map(
      ([text = '', rule = '']): Refused => [tree('releases.app1-back.a', text), 'releases.app1-back.a', rule],
    ),
    ['releases: { reloader: { a: secretref+file://x } }', 'releases.reloader.a', 'a text without `ref+`'],
    ['releases: { app1-back: { a: sops://x.yaml#/a } }', 'releases.app1-back.a', 'no secret'],
    ['cluster: { context: sops://x.yaml#/a }', 'cluster.context', 'no secret'],
    ['releases: { app1-back: { a: "x state://y" } }', 'releases.app1-back.a', 'state://FILE and nothing'],
    ...['cluster.context', 'charts.vault.chart', 'releases.postgresql.kind'].map(
      (path): Refused => [tree(path, '{{ .Values.domain }}'), path, 'plain text and no template'],
    ),
    [loginAs('app2', ofApp2, '{{ .Values.domain }}'), `${login}.namespace`, 'plain text and no template'],
  ],
  'Vault has TLS, from an issuer only in the cluster': [
    ['vault: { address: "http://vault.vault.svc:8200" }', 'vault.address', 'an https URL'],
    ['vault: { tls: { clusterIssuer: internal } }', 'vault.tls.clusterIssuer', 'empty with the provider'],
  ],
  'a certificate of all fronts is not given to cert-manager, which would replace it by that of one': [
    [tree('ingress.tls', both), 'ingress.tls.existingSecret', 'empty with `clusterIssuer`'],
  ],
  'an exception is a part of its range': [
    [`cluster: { podCidr: "fd00::/48" }\n${except('0.0.0.0/0', pods)}`, ranges, 'a part of `0.0.0.0/0`'],
    [except('192.168.0.0/16', '10.0.0.0/8'), ranges, 'a part of `192.168.0.0/16`'],
    [except('10.0.0.0/8', '10.0.0.0/8'), ranges, 'a part of `10.0.0.0/8`'],
  ],
  'ranges of addresses are valid, and whitelists do not let everybody in': [
    ...ipv4.map(([range, plain]) =>
      whitelist('public', `"${range}"`, `.0`, `the range in its IPv4 form: \`${plain}\``),
    ),
    ...noRanges.map((range) => whitelist('admin', `"${range}"`, '.0', 'a range of addresses')),
    ...[
      ...['0.0.0.0/0', '0.0.0.0/1, 128.0.0.0/1', '128.0.0.0/2, 0.0.0.0/1, 192.0.0.0/3', '"2000::/3"'],
      ...['10.0.0.0/8, "::/1", "8000::/1"', '"{{ .Values.cluster.podCidr }}", 0.0.0.0/1, 255.1.2.3/1'],
    ].map((all) => whitelist('admin', all, '', everybody)),
    whitelist('internal', '128.0.0.0/1, 10.0.0.0/8, 64.0.0.0/2, 0.0.0.0/2', '', everybody),
  ],
};

for (const [title, rows] of Object.entries(groups))
  test(title, async () => {
    for (const [settings, path, rule] of rows) {
      const refused = await refusal(settings);
      const begin = `expected setting \`${path}\` of environment \`development\` to be ${rule}`;
      assert.ok(refused.startsWith(begin), `${settings}: ${refused}`);
      assert.match(refused, / \| environments\/[\w/]+\.yaml:\d+ sets it \| /);
    }
  });

test('a plain password is refused without showing it', async () => {
  for (const settings of [
    ...['hunter2!', 'sops:/hunter2!'].map((password) => role('unused', password)),
    ...['unused', 'public'].flatMap((name) => [
      ...[['hunter2!'], { a: 'hunter2!' }, 'hunter2!'].map((password) => role(name, password)),
    ]),
    tree('database.applications.unused', 'hunter2!'),
    tree('database.applications', ['hunter2!']),
    tree('database.issuers.vault', 987654),
    tree('database', 'hunter2!'),
    tree('releases.postgresql.password', 987654),
  ])
    assert.not.match(await refusal(settings), /hunter2!|987654/);
  assert.match(await refusal(tree('database.applications.unused', {})), 'got nothing | no file sets it');
  const number = await refusal('database: { applications: { unused: { password: 0123456 } } }');
  assert.match(number, `${file}:1: a password without quotes`);
  assert.not.match(number, '123456');
});

test('a name that PostgreSQL keeps for itself is refused for each role', async () => {
  const kept = 'pg_app pg_ public none streaming_replica current_user current_role session_user user';
  for (const name of kept.split(' '))
    for (const [path, settings] of [
      [`applications.${name}`, role(name, '')],
      [`issuers.${name}`, issuer(name, secret('other'))],
      ['user', tree('database.user', name)],
    ] as const) {
      const refused = await refusal(settings);
      assert.match(refused, `\`database.${path}\` of environment \`development\` to be a`);
      assert.match(refused, 'that PostgreSQL does not keep for itself');
    }
  for (const name of ['pgbouncer', 'public_site', 'users', 'nobody']) await load(role(name, ''));
});

test('what fits is accepted', async () => {
  for (const settings of [
    // A template for the chart itself may stand in a literal.
    tree('releases.app1-back.a', '{{ "{{ .Values.ofTheChart }}" }} and {{ `{{` }}'),
    // A comment is not read, nor need a setting exist under a condition.
    tree('releases.app1-back.a', '{{/* a 5" disk */}}{{- /* .Values.former */ -}}'),
    tree('releases.app1-back.a', '{{ if hasKey .Values "mine" }}{{ .Values.mine }}{{ end }}'),
    // A removed role, and a login to another server.
    tree('database.applications.app1', null),
    loginAs('app2', secret('b')).replace('{{ .Values.database.host }}', 'db.test'),
    // Ranges of either family, where they fit.
    except('fd00::/8', 'fd00:1::/32'),
    list('adminWhitelist', '10.1.2.3/8, "2001:db8::1/128", "::fffe:10.0.0.0/104"'),
    list('adminWhitelist', '0.0.0.0/1, 128.0.0.0/2, "2000::/4", "{{ .Values.domain }}"'),
    list('publicWhitelist', '0.0.0.0/0, "::/0"'),
    ...[balanced('172.31.0.0/16'), proxied('10.9.0.0/16'), installed('app1-front', false)],
  ])
    await load(settings);
});

test('a release is left out by itself, not with all of its chart', async () => {
  assert.match(await refusal(installed('app1-front', 'false')), '`true` or `false`');
  const unknown =
    /zz\.yaml:1 has an unknown setting `releases\.frontend\.installed` .* set it in each release/;
  assert.match(await refusal(installed('frontend', false)), unknown);
});

test.run();
