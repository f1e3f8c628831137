/** Tells a nested run that it is inside a task of another run. */
const levelVariable = 'TASK_RUNNER_LEVEL';

/** 0 for a run started by a person or CI. */
export function nestingLevel(): number {
  return Number(process.env[levelVariable] ?? 0) || 0;
}

/** Variables for children that identify their run. */
export function nestedEnvironment(): NodeJS.ProcessEnv {
  return { [levelVariable]: String(nestingLevel() + 1) };
}
