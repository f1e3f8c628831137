/** Set for children, so that a run inside a task of another run knows its place. */
const levelVariable = 'TASK_RUNNER_LEVEL';

/** 0 for a run that a person or CI started. */
export function nestingLevel(): number {
  return Number(process.env[levelVariable] ?? 0) || 0;
}

/** What a child's environment says of the run that it belongs to. */
export function nestedEnvironment(): NodeJS.ProcessEnv {
  return { [levelVariable]: String(nestingLevel() + 1) };
}
