/** Set for children, so that a run inside a task of another run knows its place. */
const levelVariable = 'TASK_RUNNER_LEVEL';
const lockVariable = 'TASK_RUNNER_LOCK';

/** 0 for a run that a person or CI started. */
export function nestingLevel(): number {
  return Number(process.env[levelVariable] ?? 0) || 0;
}

/** Whether a run around us holds this lock: waiting for it would never end. */
export function isHeldAround(lock: string): boolean {
  return process.env[lockVariable] === lock;
}

/** What a child's environment says of the run that it belongs to. */
export function nestedEnvironment(lock: string | undefined): NodeJS.ProcessEnv {
  const held = lock ?? process.env[lockVariable];
  return {
    [levelVariable]: String(nestingLevel() + 1),
    ...(held === undefined ? {} : { [lockVariable]: held }),
  };
}
