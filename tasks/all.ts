import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AnyTask, type CliConfig, runCli } from '@k8s-deployment/runner';
import { launcher } from '../lib/ground/launcher.ts';
import { root } from '../lib/ground/project.ts';
import { environmentOf, exportHomes, memoryOf, processEnvironment } from '../lib/settings/environment.ts';
import { globalOptions } from '../lib/settings/global-options.ts';
import * as applications from './applications.ts';
import * as backup from './backup.ts';
import * as certificates from './certificates.ts';
import * as cluster from './cluster.ts';
import * as connection from './connection.ts';
import * as database from './database.ts';
import * as deploy from './deploy.ts';
import * as embedded from './embedded.ts';
import * as environment from './environment.ts';
import * as images from './images.ts';
import * as ingress from './ingress.ts';
import * as secrets from './secrets.ts';
import * as toolTasks from './tools.ts';
import * as vault from './vault.ts';

/** The files of each group's tasks. */
const groups = {
  environment: [environment],
  project: [applications],
  cluster: [cluster, connection, embedded],
  deploy: [deploy, ingress],
  secrets: [secrets, certificates, vault, database],
  backup: [backup],
  images: [images],
  tools: [toolTasks],
};

/** Every task that these files export. Needs refer to these very objects, so the group is set on them. */
export const tasks: readonly AnyTask[] = Object.entries(groups).flatMap(([group, files]) =>
  files
    .flatMap((file): unknown[] => Object.values(file))
    .filter((value): value is AnyTask => typeof value === 'object' && value !== null && 'commands' in value)
    .map((task) => Object.assign(task, { group })),
);

/** The project's configuration of the runner. */
export const config: CliConfig = {
  program: launcher,
  version: (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version,
  options: globalOptions,
  // For tasks without `run`, which execute their plain commands.
  shell: async (options) => ({ env: await processEnvironment(environmentOf(options)), cwd: root }),
  // Without it, kubectl and helm cache below ~/.kube.
  setUp: (options, commands) =>
    /\b(kubectl|helm|helmfile|k9s) --kubeconfig |export KUBECONFIG=/.test(commands)
      ? `${exportHomes(environmentOf(options), 'KUBECACHEDIR')}\n`
      : '',
  resolve: async (options, requested) =>
    (await import('../lib/settings/provider-choice.ts')).resolveOptions(options, requested, root),
  dotenv: join(root, '.env'),
  launcher: 'run',
  calledIn: process.env.TASKS_CALLED_IN,
  // Not in .state, which exists only for created environments.
  memory: ({ env }) => memoryOf(`${env}`, root),
  // `project` is for tasks that change files of all environments; the dot, so that it is no environment's.
  lock: ({ env }, name) => join(root, '.state', `${name === true ? env : `.${name}`}.lock`),
};

/** Runs the project's command line and returns the exit code. */
export function run(argv: readonly string[]): Promise<number> {
  return runCli(tasks, argv, config);
}
