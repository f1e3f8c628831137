import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join, relative } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { passedOn, settleVariables } from '../../../lib/ground/variables.ts';
import { temporaryFolder } from '../../../lib/runner/tests/rig/folder.ts';

const folder = temporaryFolder();
mkdirSync(join(folder, 'home'));
// Not a folder, although root can write it and everyone can run it.
writeFileSync(join(folder, 'program'), '', { mode: 0o755 });

/** These variables after filtering, in a project at `/project`. */
function settled(variables: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const copy = { ...variables };
  settleVariables(copy, '/project');
  return copy;
}

test('only variables of the list are kept, and those that the tasks read', () => {
  const kept = {
    ...{ HOME: tmpdir(), PATH: '/bin', LC_MESSAGES: 'C', https_proxy: 'http://proxy', AWS_PROFILE: 'team' },
    ...{ ENVIRONMENT: 'staging', SOPS_PGP_KEY: 'armour', KUBECONFIG: '/some/config', CI: 'true' },
    ...{ GIT_INDEX_FILE: '/clone/.git/index.lock', TASKS_CALLED_IN: '/clone' },
  };
  const others = [
    'BASH_ENV ENV SHELLOPTS PS4 CDPATH IFS BASH_FUNC_helm%% POSIXLY_CORRECT GREP_OPTIONS OPENSSL_CONF DEBUG',
    'GIT_DIR PGHOST PGSERVICE HELM_KUBEAPISERVER VAULT_TOKEN GNUPGHOME KUBECTL_EXTERNAL_DIFF ETCD_NAME',
    'HELM_KUBECONTEXT HELM_NAMESPACE HELM_DRIVER HELMFILE_ENVIRONMENT HELMFILE_FILE_PATH KWOK_WORKDIR KWOK_CONFIG',
    'KWOK_KUBE_APISERVER_PORT ETCD_LISTEN_CLIENT_URLS VAULT_ADDR VAULT_CACERT VAULT_SEAL_TYPE SOPS_GPG_EXEC SOPS_PGP_FP',
    'PATH_INFO MYHOME PGDATA PGPORT VSO_CLIENT_CACHE_SIZE KUBERNETES_MASTER',
  ].flatMap((names) => names.split(' '));
  const dropped = Object.fromEntries([...others, 'odd name'].map((name) => [name, 'x']));
  assert.equal(settled({ ...kept, ...dropped }), kept);
});

test('programs speak English, in the rest of the user’s locale', () => {
  const [HOME, PATH] = [folder, ''];
  const german = { LANG: 'de_DE.UTF-8', LANGUAGE: 'de', LC_TIME: 'fr_FR.UTF-8', HOME, PATH };
  const { TASKS_CALLED_IN, ...some } = settled(german);
  assert.equal(some, { LANG: 'de_DE.UTF-8', LC_TIME: 'fr_FR.UTF-8', LC_MESSAGES: 'C', HOME, PATH });
  const { TASKS_CALLED_IN: _, ...all } = settled({ ...german, LC_ALL: 'it_IT.UTF-8' });
  assert.equal(all, { LANG: 'it_IT.UTF-8', LC_MESSAGES: 'C', HOME, PATH });
});

test('a program is not given what only the tasks read', () => {
  const given = { HOME: '/home', GITHUB_TOKEN: 'token', SSH_AUTH_SOCK: '/agent', npm_config_registry: 'x' };
  const own = { SOPS_PGP_KEY: 'armour', KUBECONFIG: '/x', NODE_OPTIONS: '--inspect', GIT_INDEX_FILE: '/x' };
  assert.equal(passedOn({ ...given, ...own, BASH_ENV: '/nowhere' }), given);
});

test('a relative path is the one from the folder in which the launcher was called; a missing TMPDIR is dropped', () => {
  const given = { TMPDIR: relative(process.cwd(), folder), TMP: join(folder, 'none') };
  const { TMPDIR, TMP, TEMP } = settled({ ...given, TEMP: join(folder, 'program') });
  assert.equal([TMPDIR, TMP, TEMP, settled({ TEMP: '' }).TEMP], [folder, undefined, undefined, undefined]);
  const paths = { KUBECONFIG: 'one:/two', SSL_CERT_FILE: '../ca.pem', TMPDIR: 'home' };
  const { HOME, PATH, LC_MESSAGES, ...found } = settled({
    ...paths,
    GIT_INDEX_FILE: '.git/index',
    TASKS_CALLED_IN: folder,
  });
  assert.equal(found, {
    ...{ KUBECONFIG: `${folder}/one:/two`, SSL_CERT_FILE: join(folder, '../ca.pem') },
    ...{ TMPDIR: `${folder}/home`, GIT_INDEX_FILE: `${folder}/.git/index`, TASKS_CALLED_IN: folder },
  });
  for (const name of ['SOPS_AGE_KEY_FILE', 'GOOGLE_APPLICATION_CREDENTIALS', 'AWS_SHARED_CREDENTIALS_FILE'])
    assert.is(settled({ [name]: 'key', TASKS_CALLED_IN: folder })[name], `${folder}/key`);
  assert.is(settled({ KUBECONFIG: 'one' }).KUBECONFIG, join(process.cwd(), 'one'));
});

test('a missing home is that of the account, or a folder of the project; without PATH there are the usual folders', () => {
  assert.is(settled({}).HOME, userInfo().homedir);
  assert.match(settled({}).PATH ?? '', /:\/usr\/bin:/);
  assert.is(settled({ PATH: '' }).PATH, '');
  assert.is(settled({ HOME: join(folder, 'home') }).HOME, join(folder, 'home'));
  for (const HOME of ['', 'home', join(folder, 'none'), join(folder, 'program')])
    assert.is(settled({ HOME }).HOME, '/project/.home', HOME);
});

test.run();
