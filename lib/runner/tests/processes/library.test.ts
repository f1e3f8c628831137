import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { join, relative } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../ground/project.ts';
import { type Ended, loader, runFile } from '../rig/ended.ts';
import { temporaryFolder } from '../rig/folder.ts';

const library = join(root, 'lib', 'runner');
const door = join(library, 'runner.ts');

/* Somebody else's project: nothing in it is ours but the path of the door. */
const folder = temporaryFolder();
test.before(async () => {
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  await mkdir(join(folder, 'node_modules'));
  // tsc looks for the types of Node there.
  await symlink(join(root, 'node_modules', '@types'), join(folder, 'node_modules', '@types'));
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
});

/** What somebody who wants to be warned of everything sets. */
const compilerOptions = {
  target: 'es2023',
  lib: ['es2023'],
  types: ['node'],
  module: 'nodenext',
  moduleResolution: 'nodenext',
  strict: true,
  noEmit: true,
  allowImportingTsExtensions: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  // zx's own declarations name types that it does not bring along.
  skipLibCheck: true,
};

const run = (program: string, ...words: readonly string[]): Promise<Ended> => runFile(program, words, folder);

test('a file of tasks outside the project imports the door, compiles and runs', async () => {
  const example = readFileSync(join(library, 'examples', 'commands.ts'), 'utf8');
  await writeFile(join(folder, 'tasks.ts'), example.replace('../runner.ts', door));
  const inspected = await run(process.execPath, '--import', loader, 'tasks.ts', 'inspect');
  assert.is(inspected.exitCode, 0, inspected.stderr);
  const compiled = await run(join(root, 'node_modules', '.bin', 'tsc'), '--project', folder);
  assert.is(compiled.exitCode, 0, compiled.stdout);
});

const { dependencies, exports } = JSON.parse(readFileSync(join(library, 'package.json'), 'utf8'));

test('each entry point of the package resolves, and exports something', async () => {
  assert.equal(Object.keys(exports), ['.', './completion', './graph', './report', './watch']);
  for (const entry of Object.keys(exports))
    assert.ok(Object.keys(await import(join('@k8s-deployment/runner', entry))).length > 0, entry);
});

test('the sources import no other packages than their own, and the README says what each is for', () => {
  const names = (readdirSync(library, { recursive: true, encoding: 'utf8' }) as string[]).filter(
    (name) => name.endsWith('.ts') && !name.startsWith('tests/'),
  );
  const forms = /\b(?:from|import\(|require\()\s*'((?:@[^/']+\/)?[^./'][^/']*)/g;
  const imported = names.flatMap((name) => [...readFileSync(join(library, name), 'utf8').matchAll(forms)]);
  const others = imported.map(([, name = '']) => name).filter((name) => !isBuiltin(name));
  assert.equal([...new Set(others)].sort(), Object.keys(dependencies).sort());
  const readme = readFileSync(join(library, 'README.md'), 'utf8');
  for (const name of others) assert.ok(readme.includes(name), name);
});

/** What the door hands on, with the file that declares it. */
function exportsOfDoor(): { readonly name: string; readonly file: string }[] {
  const lists = /export (?:type )?\{([^}]*)\} from '([^']+)'/g;
  const text = readFileSync(door, 'utf8');
  return [...text.matchAll(lists)].flatMap(([, names = '', file = '']) =>
    names
      .split(',')
      .map((name) => name.replace(/^\s*type /, '').trim())
      .filter((name) => name !== '')
      .map((name) => ({ name, file: join(library, file) })),
  );
}

/** Whether a doc comment ends on the line above the declaration (a linter's instruction may stand between). */
function isDocumented(text: string, name: string): boolean {
  const lines = text.split('\n');
  const declares = new RegExp(`^export (?:async )?(?:function|const|class|type|interface) ${name}\\b`);
  let place = lines.findIndex((line) => declares.test(line)) - 1;
  if (place < -1) throw new Error(`${name} is not declared where the door takes it from`);
  while (lines[place]?.startsWith('// biome-ignore')) place -= 1;
  // Of its own: from the opening on there is nothing but the comment.
  const comment = lines.slice(0, place + 1).join('\n');
  return /\/\*\*(?:(?!\*\/)[\s\S])*\*\/$/.test(comment) && !/^\s*\/\/.*$/.test(lines[place] ?? '');
}

test('every type and function of the door says what it is', () => {
  const found = exportsOfDoor();
  assert.ok(found.length > 30, `only ${found.length} exports were found`);
  const silent = found.filter(({ name, file }) => !isDocumented(readFileSync(file, 'utf8'), name));
  assert.equal(
    silent.map(({ name, file }) => `${relative(root, file)}: ${name}`),
    [],
  );
});

test.run();
