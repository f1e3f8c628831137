import { helmRecord, listing, printing, scriptedSuite } from '../../rig/scripted-folder.ts';

/* A project whose programs are played, for the tests of installs. Releases render nothing at first. */

const cnf = 'lib/certificates/certificates.cnf';
const files = ['charts', 'environments', 'helmfile.yaml', cnf];
export const { test, project } = scriptedSuite('deploy', 'minikube', ...files);

export const secrets = {
  password: 'first secret',
  app2Password: 'second secret',
  vaultPassword: 'third secret',
};

test.before.each(() => {
  project.script('sops', printing(secrets));
  project.script('helmfile', emptyFolders);
});

/** What helmfile does for releases that render nothing. */
export const emptyFolders = `folder=; last=
for word; do [ "$last" = --output-dir ] && folder=$word; last=$word; done
[ -z "$folder" ] || for word; do case "$word" in name=*) mkdir -p "$folder/\${word#name=}";; esac; done`;

export const helmfile = (words: string, body: string): void =>
  project.script('helmfile', `${emptyFolders}\ncase "$*" in *${words}*) ${body};; esac`);

const answers = {
  'get namespaces': listing(),
  'get configmaps': listing(),
  version: printing({ serverVersion: { gitVersion: 'v1.31.0', minor: '31' } }),
  'managed-by=Helm': listing(),
  'get -f -': '',
  'get deployment': '',
  'get pods': 'exec sleep 1000',
  '--watch': 'exec sleep 1000',
};

type Cluster = Partial<typeof answers> & { manifest?: string; others?: readonly string[] };

/** A cluster in which devops is in this state, last touched so many seconds ago, and so are other releases, by id. */
export function cluster(status: string, ageSeconds: number, changes: Cluster = {}): void {
  const { manifest = '', others = [], ...changed } = changes;
  const last_deployed = Number.isNaN(ageSeconds)
    ? undefined
    : new Date(Date.now() - ageSeconds * 1000).toISOString();
  const records = ['core/devops', ...others].map((id) =>
    helmRecord(id, status, { manifest, info: { last_deployed } }, 3),
  );
  project.script('kubectl', { 'get secrets': listing(...records), ...answers, ...changed });
}

export const helm = (history: readonly object[]): void =>
  project.script('helm', { history: printing(history) });

export const sync =
  /^helmfile .* -l name=devops sync --concurrency 10 --sync-args --force-conflicts --server-side=true$/;

export const helmCalls = (words = ''): string[] =>
  project.calls(`^helm .*${words}`).map((line) => line.replace(/--kubeconfig \S+ --kube-context \S+ /, ''));

/** A helmfile whose command fails as it does when helm fails with a release. */
export const failing = (words: string, release: string, said: string, seconds = 0): void => {
  const output = `  ${said}\n  Use --debug flag to render out invalid YAML\n`;
  const args = `ARGS:\n  0: helm (4 bytes)\n  1: ${release} (1 bytes)\n`;
  const text = `${args}\nSTDERR:\n${output}\nCOMBINED OUTPUT:\n${output}`;
  helmfile(words, `sleep ${seconds}; cat >&2 <<'END'\n${text}END\nexit 1`);
};
