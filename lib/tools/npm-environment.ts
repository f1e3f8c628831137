/**
 * The environment for an npm of our own: what an npm or npx that started us says about *its* project and package would make
 * ours work in the wrong folder. Imports nothing: the door uses it before any package is there.
 */
export function npmEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const foreign =
    /^npm_(lifecycle_|package_|command$|config_(local_prefix|prefix|package|call|global|include_workspace_root)$)/;
  const kept = Object.entries(environment).filter(([name]) => !foreign.test(name.toLowerCase()));
  return Object.fromEntries(kept);
}
