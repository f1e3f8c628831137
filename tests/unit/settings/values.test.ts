import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadSettings } from '../../../lib/settings/settings.ts';
import { copyEnvironments, type ProjectCopy } from '../../rig/project-copy.ts';
import { failureOf } from '../../rig/task-context.ts';

/*
 * What helmfile (vals, templates) and the tasks both read: settings that only one of them would understand, or that they would
 * understand differently, are refused with their place.
 */

type State = {
  clone: ProjectCopy;
  refusal: (settings: string) => Promise<string>;
  load: (settings: string) => Promise<unknown>;
};

const test = suite<State>('values of settings');
const file = 'environments/development/zz.yaml';

test.before((state) => {
  state.clone = copyEnvironments();
  state.load = (settings) => {
    mkdirSync(join(state.clone.folder, 'environments/development'), { recursive: true });
    writeFileSync(join(state.clone.folder, file), `${settings}\n`);
    return loadSettings('development', 'embedded', state.clone.folder);
  };
  state.refusal = async (settings) => {
    const { what, why = '', advice = '' } = await failureOf(state.load(settings));
    return `${what} | ${why} | ${advice}`;
  };
});

test.after(({ clone }) => clone.remove());

test('an image’s tag that is no text is refused, with its line and the fix', async ({ refusal }) => {
  assert.is(
    await refusal('# mine\nimages: { backend: { tag: 1.10 } }'),
    `${file}:2: \`1.10\` is the number 1.1 | YAML readers do not agree on its meaning | write "1.10" for the text, or 1.1`,
  );
  assert.match(await refusal('images: { backend: { tag: 0123456 } }'), '`0123456` is the number 123456');
  for (const tag of ['15', 'true', 'null'])
    assert.match(
      await refusal(`images: { backend: { tag: ${tag} } }`),
      `a tag as text, such as "1.2.0", got \`${tag}\``,
    );
  assert.match(
    await refusal('images: { backend: { tag: 15 } }'),
    `${file}:1 sets it | write it in quotes: "15"`,
  );
});

for (const [title, settings, message] of [
  [
    'a text',
    'vault: { auditLog: true }',
    '`vault.auditLog` of environment `development` to be an absolute path',
  ],
  [
    'a text with no rule of its own',
    'database: { sslmode: 5 }',
    '`database.sslmode` of environment `development` to be a text',
  ],
  ['the version of a chart', 'charts: { reloader: { version: 2.2 } }', 'to be a text, got `2.2`'],
  [
    'a text of a list',
    'cluster: { provider: [embedded] }',
    'to be `minikube`, `embedded`, `existing` or empty, got `["embedded"]`',
  ],
  ['a boolean', 'production: "true"', 'to be `true` or `false`, got `"true"`'],
  ['a boolean with no rule of its own', 'ingress: { tls: { enabled: "false" } }', '`ingress.tls.enabled`'],
  ['a number', 'cluster: { nodes: "3" }', 'to be a whole number from 1 up, got `"3"`'],
  ['a port', 'database: { port: "5432" }', 'to be a port number, got `"5432"`'],
  ['a port there is not', 'ingress: { tls: { port: 65536 } }', 'to be a port number'],
  ['a map', 'charts: null', '`charts` of environment `development` to be a map, got `null`'],
  [
    'a map of a release',
    'releases: { app1-back: ~ }',
    '`releases.app1-back` of environment `development` to be a map',
  ],
  ['a map of values of another chart', 'charts: { vault: { values: [] } }', '`charts.vault.values`'],
  ['a list', 'cluster: { addons: ingress }', '`cluster.addons`'],
] as const) {
  test(`${title} of another kind is refused`, async ({ refusal }) => {
    const refused = await refusal(settings);
    assert.ok(refused.includes(message), refused);
    assert.match(refused, `${file}:1 sets it`);
  });
}

test('names that every JavaScript object has are unknown settings like any other', async ({ refusal }) => {
  for (const name of ['constructor', 'toString', '__proto__']) {
    assert.match(await refusal(`${name}: {}`), `${file}:1 has an unknown setting \`${name}\``);
    assert.match(await refusal(`charts: { ${name}: {} }`), `unknown setting \`charts.${name}\``);
  }
  // What valibot's `record` skips.
  for (const name of ['constructor', 'prototype', '__proto__'])
    assert.match(
      await refusal(`database: { applications: { ${name}: { password: hunter2! } } }`),
      '`database.applications` of environment `development` to be a map without the names',
    );
});

test('merge keys work in settings as in helmfile', async ({ load }) => {
  const { releases } = (await load(
    'releases: { app1-back: &one { replicas: 3 }, app2-back: { <<: *one, autoRollback: false } }',
  )) as { releases: { [name: string]: { [key: string]: unknown } } };
  assert.is(releases['app2-back']?.replicas, 3);
});

const role = (password: string) => `database: { applications: { app3: { password: "${password}" } } }`;

for (const [title, settings, message] of [
  ['a nested key', role('sops://database.yaml#/app2/db'), '`database.applications.app3.password`'],
  ['no key', role('sops://database.yaml'), '`database.applications.app3.password`'],
  ['a list’s first', role('sops://database.yaml#/a/0'), '`database.applications.app3.password`'],
  [
    'a parameter of vals',
    role('sops://database.yaml?key_type=filepath#/a'),
    '`database.applications.app3.password`',
  ],
  ['an escape', role('sops://database.yaml#/a%20b'), '`database.applications.app3.password`'],
  [
    'another folder',
    role('sops://../../lab/secrets/database.yaml#/password'),
    '`database.applications.app3.password`',
  ],
  ['another kind of file', role('sops://database.json#/a'), '`database.applications.app3.password`'],
  ['what is SOPS’ own', role('sops://database.yaml#/sops'), '`database.applications.app3.password`'],
  ['a blank', role(' sops://database.yaml#/a'), '`database.applications.app3.password`'],
  ['vals’ own words', role('ref+sops://database.yaml#/a'), '`database.applications.app3.password`'],
  [
    'the superuser’s',
    'releases: { postgresql: { password: sops://database.yaml#/a/b } }',
    '`releases.postgresql.password`',
  ],
  [
    'a value of a release',
    'releases: { devops: { a: { b: ["sops://x.yaml#/a/b"] } } }',
    '`releases.devops.a.b.0`',
  ],
  ['in the middle of a text', 'releases: { devops: { a: see sops://x.yaml#/a } }', '`releases.devops.a`'],
] as const) {
  test(`a reference to a secret has one form; ${title} is not in it`, async ({ refusal }) => {
    const refused = await refusal(settings);
    assert.ok(refused.includes(message), refused);
    assert.match(refused, 'to be sops://FILE.yaml#/KEY, with a key of the first level');
  });
}

test('a plain password is refused without showing it', async ({ refusal }) => {
  for (const password of ['hunter2!', 'sops:/hunter2!'])
    assert.not.match(await refusal(role(password)), 'hunter2!');
  for (const value of ['hunter2!', '[hunter2!]', '{ a: hunter2! }'])
    for (const name of ['app3', 'public'])
      assert.not.match(
        await refusal(`database: { applications: { ${name}: { password: ${value} } } }`),
        'hunter2!',
      );
  for (const settings of [
    'database: { applications: { app3: hunter2! } }',
    'database: { applications: [hunter2!] }',
    'database: { issuers: { vault: 987654 } }',
    'database: hunter2!',
  ])
    assert.not.match(await refusal(settings), /hunter2!|987654/);
  assert.not.match(await refusal('releases: { postgresql: { password: 987654 } }'), '987654');
  assert.match(
    await refusal('database: { applications: { app3: {} } }'),
    'got `undefined` | no file sets it',
  );
  const number = await refusal('database: { applications: { app3: { password: 0123456 } } }');
  assert.match(number, `${file}:1: a password without quotes`);
  assert.not.match(number, '123456');
});

for (const [title, settings, message] of [
  [
    'two applications with one secret',
    role('sops://database.yaml#/app2Password'),
    '`database.applications.app3.password` of environment `development` to be a secret of its own, and not that of `app2`',
  ],
  [
    'the superuser’s secret for an application',
    role('sops://database.yaml#/password'),
    'a secret of its own, and not that of `postgres`',
  ],
  [
    'an issuer with the secret of an application',
    'database: { issuers: { other: { password: sops://database.yaml#/app2Password } } }',
    '`database.issuers.other.password`',
  ],
  [
    'the superuser’s name for an application',
    'database: { user: app2 }',
    '`database.applications.app2` of environment `development` to be a role with a name that no other role or database has',
  ],
  [
    'an issuer with the name of an application',
    'database: { issuers: { app1: { password: sops://database.yaml#/a } } }',
    '`database.issuers.app1`',
  ],
  [
    'a pod that logs in as a role that was taken out',
    'database: { applications: { app2: ~ } }',
    '`releases.devops.databaseSecrets.app2-back-database.user` of environment `development` to be a role of `database.applications`',
  ],
  [
    'the name of a template',
    'database: { applications: { template1: { password: "" } } }',
    '`database.applications.template1`',
  ],
  [
    'the name of the database that every server has',
    'database: { user: admin, name: admin, applications: { postgres: { password: "" } } }',
    '`database.applications.postgres` of environment `development` to be a role with a name that no other role or database has',
  ],
  [
    'the superuser that servers of CloudNativePG have',
    'database: { user: admin, name: admin, issuers: { postgres: { password: sops://database.yaml#/a } } }',
    '`database.issuers.postgres` of environment `development` to be a role with a name that no other role or database has',
  ],
  [
    'a template as the superuser’s database',
    'database: { name: template0 }',
    '`database.name` of environment `development` to be a name of a-z, 0-9 and `_`, and not that of a template',
  ],
  ['capitals', 'database: { applications: { App3: { password: "" } } }', 'a role with a name of a-z'],
  [
    'an application with no map',
    'database: { applications: { app3: sops://database.yaml#/a } }',
    '`database.applications.app3` of environment `development` to be a map, got a text',
  ],
  [
    'an issuer without a password',
    'database: { issuers: { vault: { password: "" } } }',
    '`database.issuers.vault.password`',
  ],
  [
    'a pod that logs in with another secret than its role has',
    'database: { applications: { app2: { password: sops://database.yaml#/other } } }',
    '`releases.devops.databaseSecrets.app2-back-database.password` of environment `development` to be the secret of the role `app2`: sops://database.yaml#/other',
  ],
  [
    'a pod that logs in as a role whose logins Vault makes',
    'database: { applications: { app2: { password: "" } } }',
    'to be the secret of the role `app2`: it has none',
  ],
] as const) {
  test(`database roles must be distinct: ${title} is refused`, async ({ refusal }) => {
    const refused = await refusal(settings);
    assert.ok(refused.includes(message), refused);
  });
}

test('a name that PostgreSQL keeps for itself is refused for each role', async ({ refusal, load }) => {
  for (const name of [
    ...['pg_app', 'pg_', 'public', 'none', 'streaming_replica'],
    ...['current_user', 'current_role', 'session_user', 'user'],
  ])
    for (const [path, settings] of [
      [`applications.${name}`, `{ applications: { ${name}: { password: "" } } }`],
      [`issuers.${name}`, `{ issuers: { ${name}: { password: sops://database.yaml#/other } } }`],
      ['user', `{ user: ${name} }`],
    ] as const) {
      const refused = await refusal(`database: ${settings}`);
      assert.match(refused, `\`database.${path}\` of environment \`development\` to be a`);
      assert.match(refused, 'that PostgreSQL does not keep for itself');
    }
  for (const name of ['pgbouncer', 'public_site', 'users', 'nobody'])
    await load(`database: { applications: { ${name}: { password: "" } } }`);
});

test('a removed role and a login to another server are not checked', async ({ load }) => {
  await load('database: { applications: { app1: ~ } }');
  await load(
    'releases: { devops: { databaseSecrets: { other: { namespace: backend, host: db.test, port: 1, name: a, user: app2, password: sops://database.yaml#/other } } } }',
  );
});

for (const [title, settings, message] of [
  [
    'vals’ words in a value',
    'releases: { app1-back: { a: "x ref+echo://y" } }',
    'to be a text without `ref+`',
  ],
  [
    'vals’ words for secrets',
    'releases: { reloader: { a: secretref+file://x } }',
    'to be a text without `ref+`',
  ],
  [
    'a secret of an application',
    'releases: { app1-back: { a: sops://x.yaml#/a } }',
    '`releases.app1-back.a` of environment `development` to be no secret',
  ],
  [
    'a secret in a setting',
    'vault: { auditLog: /a }\ncluster: { context: sops://x.yaml#/a }',
    '`cluster.context`',
  ],
  [
    'a file of the state within a text',
    'releases: { app1-back: { a: "x state://y" } }',
    'state://FILE and nothing else',
  ],
  [
    'a template where the tasks read',
    'cluster: { context: "{{ .Values.domain }}" }',
    '`cluster.context` of environment `development` to be plain text and no template',
  ],
  [
    'a template in the name of a chart',
    'charts: { vault: { chart: "{{ .Values.domain }}" } }',
    '`charts.vault.chart`',
  ],
  [
    'a template in a login',
    'releases: { devops: { databaseSecrets: { x: { user: "{{ .Values.database.user }}" } } } }',
    '`releases.devops.databaseSecrets.x.user`',
  ],
  [
    'a template in a kind',
    'releases: { postgresql: { kind: "{{ .Values.domain }}" } }',
    '`releases.postgresql.kind`',
  ],
] as const) {
  test(`${title} is refused, because helmfile would change it`, async ({ refusal }) => {
    const refused = await refusal(settings);
    assert.ok(refused.includes(message), refused);
  });
}

for (const [title, settings, message] of [
  [
    'another family than the pods’',
    'cluster: { podCidr: fd00::/48 }\nreleases: { devops: { outside: { kubelets: { ranges: [{ cidr: 0.0.0.0/0, except: ["{{ .Values.cluster.podCidr }}"] }] } } } }',
    '`releases.devops.outside.kubelets.ranges.0.except.0` of environment `development` to be a part of `0.0.0.0/0`',
  ],
  [
    'a range that is no part of what it is excepted from',
    'releases: { devops: { outside: { kubelets: { ranges: [{ cidr: 192.168.0.0/16, except: [10.0.0.0/8] }] } } } }',
    'to be a part of `192.168.0.0/16`',
  ],
  [
    'all of what it is excepted from',
    'releases: { devops: { outside: { kubelets: { ranges: [{ cidr: 10.0.0.0/8, except: [10.0.0.0/8] }] } } } }',
    'to be a part of `10.0.0.0/8`',
  ],
  ...(
    [
      ['::ffff:0:0/96', '0.0.0.0/0'],
      ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
      ['0:0:0:0:0:FFFF:c0a8:0107/128', '192.168.1.7/32'],
    ] as const
  ).map(
    ([range, plain]) =>
      [
        `${range}, an IPv4 range in the form of an IPv6 one`,
        `releases: { app1-front: { ingress: { publicWhitelist: ["${range}"] } } }`,
        `\`releases.app1-front.ingress.publicWhitelist.0\` of environment \`development\` to be the range in its IPv4 form: \`${plain}\``,
      ] as const,
  ),
  [
    'an IPv4 range in the form of an IPv6 one for pods',
    'cluster: { podCidr: "::ffff:10.244.0.0/112" }',
    '`cluster.podCidr`',
  ],
  ...(
    [
      ['adminWhitelist', '0.0.0.0/0'],
      ['adminWhitelist', '0.0.0.0/1, 128.0.0.0/1'],
      ['internalWhitelist', '128.0.0.0/1, 10.0.0.0/8, 64.0.0.0/2, 0.0.0.0/2'],
      ['adminWhitelist', '128.0.0.0/2, 0.0.0.0/1, 192.0.0.0/3'],
      ['adminWhitelist', '10.0.0.0/8, "::/1", "8000::/1"'],
      ['adminWhitelist', '"2000::/3"'],
      ['adminWhitelist', '"{{ .Values.cluster.podCidr }}", 0.0.0.0/1, 255.1.2.3/1'],
    ] as const
  ).map(
    ([list, ranges]) =>
      [
        `everybody as ${ranges}`,
        `releases: { app1-front: { ingress: { ${list}: [${ranges}] } } }`,
        `\`releases.app1-front.ingress.${list}\` of environment \`development\` to be ranges that do not take in everybody together`,
      ] as const,
  ),
  ...[
    '10.0.0.0/33',
    '::ffff:10.0.0.0/90',
    '256.0.0.0/8',
    '10.0.0.0/08',
    ':::/64',
    'fd00::/129',
    '1:2:3:4:5:6:7:8:9/64',
  ].map(
    (range) =>
      [
        range,
        `releases: { app1-front: { ingress: { adminWhitelist: ["${range}"] } } }`,
        '`releases.app1-front.ingress.adminWhitelist.0` of environment `development` to be a range of addresses',
      ] as const,
  ),
] as const) {
  test(`ranges of addresses: ${title} is refused before anything is installed`, async ({ refusal }) => {
    const refused = await refusal(settings);
    assert.ok(refused.includes(message), refused);
    assert.match(refused, file);
  });
}

test('ranges of either family are accepted where they fit', async ({ load }) => {
  await load('cluster: { podCidr: "fd00:10:244::/56" }');
  await load(
    'releases: { devops: { outside: { kubelets: { ranges: [{ cidr: "fd00::/8", except: ["fd00:1::/32"] }] } } } }',
  );
  await load(
    'releases: { app1-front: { ingress: { adminWhitelist: [10.1.2.3/8, "2001:db8::1/128", "::fffe:10.0.0.0/104"] } } }',
  );
  await load(
    'releases: { app1-front: { ingress: { adminWhitelist: [0.0.0.0/1, 128.0.0.0/2, "2000::/4", "{{ .Values.domain }}"], publicWhitelist: [0.0.0.0/0, "::/0"] } } }',
  );
});

test.run();
