import { dirname } from 'node:path';
import { shellWord } from '../ground/shell-words.ts';
import { buildFlags, cgoEnabled } from './go-build.ts';
import { type GoRecipe, loadManifest, type NpmRecipe, programOf, type ToolName } from './manifest.ts';
import { npmPackageName } from './npm-package.ts';
import { isPublished } from './release.ts';
import { describeTool, type Requirement } from './versions.ts';

/** Commands to install a tool that a run would not take from PATH: its release first, other ways as comments. */
export async function plainCommands(name: ToolName, requirement: Requirement = {}): Promise<string[]> {
  const entry = (await loadManifest()).tools[name];
  const { version = '', release, go, npm } = entry;
  const ways: string[][] = [];
  if (release !== undefined && isPublished(release))
    ways.push([`mise use --global ${shellWord(`${release.package}@${version}`)}`]);
  if (go !== undefined) ways.push(goCommands(name, go));
  if (npm !== undefined) ways.push(npmCommands(name, npm), [entry.advice]);
  const [first, ...others] = ways;
  if (first === undefined)
    return [`# ${describeTool(entry, requirement)} has to be on PATH: ${entry.advice}`];
  const alternatives = others.map((commands) => `# or: ${commands.join(' && ')}`);
  // One on PATH may be of another version, or without the files beside it.
  if (entry.path === false) return [`# ${name} ${version}:`, ...first, ...alternatives];
  const install = first.length > 1 ? `{\n${first.join('\n')}\n}` : first[0];
  return [
    `# ${describeTool(entry, requirement)}:`,
    `command -v ${programOf(entry)} > /dev/null || ${install}`,
    ...alternatives,
  ];
}

const onPath = (folder: string): string => `export PATH="${folder}:$PATH"`;

function goCommands(name: string, recipe: GoRecipe): string[] {
  const folder = '$HOME/.local/bin';
  const go = `go -C lib/tools/go/${recipe.module}`;
  const flags = buildFlags(recipe).map(shellWord).join(' ');
  const copies = Object.entries(recipe.folders ?? {}).map(([target, source]) => {
    const module = `$(${go} list -mod=readonly -f '{{.Module.Dir}}' ${recipe.package})`;
    return `mkdir -p "${folder}/${target}" && cp -R "${module}"/${source}/* "${folder}/${target}/"`;
  });
  const files = Object.entries(recipe.files ?? {}).map(([target, { module, path }]) => {
    const place = `$(${go} list -mod=readonly -m -f '{{.Dir}}' ${module})`;
    const all = path.includes('.') ? '' : '/*';
    return `${go} mod download ${module} && mkdir -p "${folder}/${target}" && cp "${place}"/${path}${all} "${folder}/${target}/"`;
  });
  const build = `CGO_ENABLED=${cgoEnabled(recipe)} ${go} build ${flags} -o "${folder}/${name}" ${recipe.package}`;
  return [build, ...copies, ...files, onPath(folder)];
}

/** Creates the links that the package lists, as its install script does, which npm skips by default. */
const makeLinks =
  'for (const { source, target } of JSON.parse(fs.readFileSync(process.argv[1]))) { fs.rmSync(target, { force: true }); fs.symlinkSync(path.relative(path.dirname(target), source), target); }';

function npmCommands(name: string, recipe: NpmRecipe): string[] {
  const prefix = `$HOME/.local/lib/${name}`;
  const folder = `${prefix}/node_modules/${npmPackageName(recipe)}`;
  const wanted = shellWord(`${npmPackageName(recipe)}@${recipe.version}`);
  const { program, symlinks } = recipe;
  return [
    `npm install --prefix "${prefix}" --no-save --ignore-scripts ${wanted}`,
    ...(symlinks === undefined ? [] : [`(cd "${folder}" && node -e '${makeLinks}' ${symlinks})`]),
    `chmod +x "${folder}/${dirname(program)}"/*`,
    onPath(`${folder}/${dirname(program)}`),
  ];
}
