import { mkdirSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import { type CloneContext, scriptedFolder } from '../../rig/scripted-folder.ts';

/* A project whose programs are played, for the tests of installs. */

export const project = scriptedFolder(
  ...['charts', 'environments', 'helmfile.yaml'],
  'lib/certificates/certificates.cnf',
);

export const secrets = {
  password: 'first secret',
  app2Password: 'second secret',
  vaultPassword: 'third secret',
};

/** What helmfile does for releases that render nothing. */
export const emptyFolders = `folder=; last=
for word; do [ "$last" = --output-dir ] && folder=$word; last=$word; done
[ -z "$folder" ] || for word; do case "$word" in name=*) mkdir -p "$folder/\${word#name=}";; esac; done`;

/** A cluster in which devops is in this state, last touched so many seconds ago, and so are other releases, by id. */
export function cluster(
  status: string,
  ageSeconds: number,
  manifest = '',
  found = `echo '{"items": []}'`,
  pods = 'true',
  configMaps: readonly object[] = [],
  others: readonly string[] = [],
): void {
  const last_deployed = Number.isNaN(ageSeconds)
    ? undefined
    : new Date(Date.now() - ageSeconds * 1000).toISOString();
  const content = gzipSync(JSON.stringify({ manifest, info: { last_deployed } })).toString('base64');
  const items = ['core/devops', ...others].map((id) => {
    const [namespace, name] = id.split('/');
    const labels = { name, status, version: '3', owner: 'helm' };
    const metadata = { name: `sh.helm.release.v1.${name}.v3`, namespace, labels };
    return { metadata, data: { release: Buffer.from(content).toString('base64') } };
  });
  project.script(
    'kubectl',
    `case "$*" in *"get secrets"*) cat <<'END'\n${JSON.stringify({ items })}\nEND\n;; *"get namespaces"*) echo '{"items": []}';; *"get configmaps"*) ${listed(...configMaps)};; *version*) echo '{"serverVersion": {"gitVersion": "v1.31.0", "minor": "31"}}';; *managed-by=Helm*) ${found};; *"get -f -"*) ;; *"get pods"*) ${pods}; exec sleep 1000;; *--watch*) exec sleep 1000;; esac`,
  );
}

export const helm = (history: readonly object[]): void =>
  project.script('helm', `case "$*" in *history*) echo '${JSON.stringify(history)}';; esac`);

/** A helmfile call that installs devops and reverts manual changes. */
export const isSync = (line: string): boolean =>
  line.endsWith('-l name=devops sync --concurrency 10 --sync-args --force-conflicts --server-side=true');

export const helmCalls = (): string[] =>
  project
    .calls()
    .filter((line) => line.startsWith('helm '))
    .map((line) => line.replace(/--kubeconfig \S+ --kube-context \S+ /, ''));

export const printed = (lines: readonly string[]): string =>
  `printf '%s\\n' ${lines.map((line) => `'${line}'`).join(' ')}`;

export const listed = (...items: readonly object[]): string => printed([JSON.stringify({ items })]);

/** A helmfile whose command fails as it does when helm fails with a release. */
export const failing = (word: string, release: string, said: string, seconds = 0): void =>
  project.script(
    'helmfile',
    `${emptyFolders}
case "$*" in *${word}*) sleep ${seconds}; cat >&2 <<'END'\nARGS:\n  0: helm (4 bytes)\n  1: ${release} (1 bytes)\n\nSTDERR:\n  ${said}\n  Use --debug flag to render out invalid YAML\n\nCOMBINED OUTPUT:\n  ${said}\n  Use --debug flag to render out invalid YAML\nEND\nexit 1;; esac`,
  );

/** A suite whose tests begin with secrets, and releases that render nothing. */
export function deploySuite(name: string) {
  const test = suite<{ context: CloneContext }>(name);
  test.before.each(async (state) => {
    state.context = await project.context('minikube');
    mkdirSync(state.context.environment.state, { recursive: true });
    project.script('sops', `echo '${JSON.stringify(secrets)}'`);
    project.script('helmfile', emptyFolders);
    project.forget();
  });
  test.after.each(project.reset);
  test.after(project.remove);
  return test;
}
