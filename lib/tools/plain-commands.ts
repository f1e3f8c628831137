import { shellWord } from '../shell-words.ts';
import { buildFlags, cgoEnabled } from './go-build.ts';
import { loadManifest, type ToolName } from './manifest.ts';
import { npmPackageName } from './npm-package.ts';
import { misePackage } from './release.ts';
import { describeTool, type Requirement } from './requirement.ts';

/**
 * What getting a tool stands for, as commands to be pasted: its release, and as remarks the other ways. Looks at nothing: a
 * tool that is already there is not known here.
 */
export async function plainCommands(name: ToolName, requirement: Requirement = {}): Promise<string[]> {
  const entry = (await loadManifest()).tools[name];
  const { version = '', release, go, npm } = entry;
  const commands: string[] = [];
  if (release !== undefined) commands.push(`mise use --global ${shellWord(misePackage(release, version))}`);
  if (go !== undefined) {
    const flags = buildFlags(go).map(shellWord).join(' ');
    const program = `"$HOME/.local/bin/${name}"`;
    commands.push(
      `CGO_ENABLED=${cgoEnabled(go)} go -C lib/tools/go/${go.module} build ${flags} -o ${program} ${go.package}`,
    );
  }
  if (npm !== undefined) {
    const wanted = shellWord(`${npmPackageName(npm)}@${npm.version}`);
    commands.push(`npm install --prefix "$HOME/.local/lib/${name}" --no-save ${wanted}`, entry.advice);
  }
  const [first, ...others] = commands;
  const need = describeTool(entry, requirement);
  if (first === undefined) return [`# ${need} has to be on PATH: ${entry.advice}`];
  const header = entry.path === false ? `# ${name} ${version}:` : `# ${need}, unless it is on PATH:`;
  return [header, first, ...others.map((command) => `# or: ${command}`)];
}
