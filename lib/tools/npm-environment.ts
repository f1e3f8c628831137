/**
 * The environment for an npm started by the tasks. Variables of an npm or npx around the tasks would point it to the
 * wrong folder. Imports nothing, as it is used before the packages are installed.
 */
export function npmEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const foreign =
    /^npm_(lifecycle_|package_|command$|config_(local_prefix|prefix|package|call|global|include_workspace_root)$)/;
  const kept = Object.entries(environment).filter(([name]) => !foreign.test(name.toLowerCase()));
  return Object.fromEntries(kept);
}
