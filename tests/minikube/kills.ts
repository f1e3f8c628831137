import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { type Clone, docker, environment, remainsOf } from './machine.ts';

/** A moment of `create-k8s`: the progress of the cluster. */
export type Moment = { readonly name: string; readonly reached: (clone: Clone) => Promise<boolean> };

/** True when Docker has this container or network. */
const has =
  (kind: string, suffix = '') =>
  async (clone: Clone) =>
    (await remainsOf(clone)).includes(`${kind} ${clone.profile}${suffix}`);

/** True when Kubernetes runs in a node: its kubelet answers. */
const joined = (suffix: string) => async (clone: Clone) => {
  const node = `${clone.profile}${suffix}`;
  if (!(await remainsOf(clone)).includes(`container ${node}`)) return false;
  return docker('exec', node, 'curl', '-fsS', 'http://127.0.0.1:10248/healthz').then(
    (answer) => answer === 'ok',
    () => false,
  );
};

const written = (file: string) => async (clone: Clone) => existsSync(clone.path('.state', environment, file));

/** Eight moments, in their order. */
export const moments: readonly Moment[] = [
  { name: 'the environment is recorded', reached: written('environment.json') },
  { name: 'there is a network', reached: has('network') },
  { name: 'there is the first machine', reached: has('container') },
  { name: 'the first kubelet runs', reached: joined('') },
  { name: 'there is the second machine', reached: has('container', '-m02') },
  { name: 'the second kubelet runs', reached: joined('-m02') },
  { name: 'there is the third machine', reached: has('container', '-m03') },
  { name: 'all nodes are started', reached: written('minikube.progress') },
];

/** Starts `create-k8s` and kills the run, without its children, at this moment. Throws when it ends before. */
export async function killAt(moment: Moment, clone: Clone): Promise<void> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'tasks.ts', 'create-k8s'], {
    cwd: clone.folder,
    env: clone.env,
    stdio: 'ignore',
  });
  const ended = once(child, 'exit');
  while (!(await moment.reached(clone))) {
    await pause(50);
    if (child.exitCode !== null) throw new Error(`create-k8s ended before ${moment.name}`);
  }
  child.kill('SIGKILL');
  await ended;
}
