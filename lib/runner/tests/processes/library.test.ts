import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
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
  ...{ target: 'es2023', lib: ['es2023'], types: ['node'], module: 'nodenext', moduleResolution: 'nodenext' },
  ...{ strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true },
  // zx's own declarations name types that it does not bring along.
  ...{ noEmit: true, allowImportingTsExtensions: true, skipLibCheck: true },
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

test('every type and function of the door says what it is', () => {
  const lists = readFileSync(door, 'utf8').matchAll(/export (?:type )?\{([^}]*)\} from '([^']+)'/g);
  const exported = [...lists].flatMap(([, names = '', file = '']) =>
    names.split(/[\s,]+(?:type )?/).flatMap((name) => (name === '' ? [] : { name, file })),
  );
  assert.ok(exported.length > 30, `only ${exported.length} exports were found`);
  const silent = exported.filter(({ name, file }) => {
    // A doc comment that ends on the line above; a linter's instruction may stand between.
    const kind = `(?:async )?(?:function|const|class|type|interface) ${name}\\b`;
    const declared = new RegExp(`\\*/\\n(?:// biome-ignore .*\\n)*export ${kind}`);
    return !declared.test(readFileSync(join(library, file), 'utf8'));
  });
  assert.equal(silent, []);
});

test.run();
