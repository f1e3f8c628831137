import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root } from '../../../ground/project.ts';
import { type Ended, loader, runFile } from '../rig/ended.ts';
import { folder, useFolder } from '../rig/folder.ts';

const library = join(root, 'lib', 'runner');
const door = join(library, 'runner.ts');
const examples = join(library, 'examples');

/* Examples run in a folder that is empty but for what they make themselves. */
useFolder(test);

const ran = new Set<string>();

function run(example: string, ...words: readonly string[]): Promise<Ended> {
  ran.add(example);
  // What the examples read from the environment, as if it were not set.
  const unset = { STAGE: undefined, BACKUP_FOLDER: undefined };
  return runFile(process.execPath, ['--import', loader, join(examples, example), ...words], folder, unset);
}

const times = (log: string, line: string): number =>
  log.split('\n').filter((candidate) => candidate.trim() === line).length;

for (const [line, shown, code = 0] of [
  ['minimal.ts', /hello +say hello/],
  ['minimal.ts hello', /^\$ echo hello\nhello\n$/],
  // By place, by name, as they are; options for all tasks.
  [
    'arguments.ts copy a.txt b.txt --to backup -v 2 -- --preserve',
    /\n *cp --preserve a.txt b.txt test\/backup\n.*\n *keep 2, none\n.*\n *compare\n/s,
  ],
  ['arguments.ts -s live cp a --to=b', 'cp a live/b\n'],
  ['commands.ts build --mode release', /^ *mode release$/m],
  // What is destructive wants a yes, after its check.
  ['commands.ts drop -y', 'drop scratch\n'],
  [
    'commands.ts drop --database production --yes',
    /^error: the database production is never removed\n {2}do: name another one\n$/,
    2,
  ],
  // Up before who needs it, taken away at the end, also after a failure.
  [
    'servers.ts check',
    /listening on \d+\n.*\n {2}database made\n.*\n {2}checked\n.*\n {2}database removed\n/s,
  ],
  ['servers.ts check --broken', /\n {2}database removed\n/, 3],
  // What the README shows of reports and graphs.
  [
    'needs.ts release --report run.html --trace run.json',
    /✓ install .*✓ publish .*✓ release .*\nwritten: run\.html, run\.json\n/s,
  ],
  ['needs.ts graph release', /^flowchart /],
  // The result alone is on stdout, and nothing secret anywhere.
  [
    'commands.ts inspect',
    /^(?:Linux|Darwin)\nthe folder is missing, the password is \*{3}\nthe run is done\n.*nothing changed/s,
  ],
] as const)
  test(line, async () => {
    const [example = '', ...words] = line.split(' ');
    const { exitCode, stdout, stderr } = await run(example, ...words);
    assert.is(exitCode, code);
    assert.match(stdout + stderr, shown);
  });

test('again: nothing is done twice until an input changes; a failed run resumes where it stopped', async () => {
  await mkdir(join(folder, 'source'));
  await writeFile(join(folder, 'source', 'a.txt'), 'a');
  const built = '$ mkdir -p out';
  const failed = await run('again.ts', 'deploy');
  assert.equal([failed.exitCode, times(failed.stderr, built), times(failed.stderr, 'uploaded')], [1, 1, 1]);
  await writeFile(join(folder, 'ready'), '');
  await writeFile(join(folder, 'source', 'draft-b.txt'), 'b');
  const resumed = await run('again.ts', 'deploy', '--resume', '--explain');
  assert.match(resumed.stderr, 'build is up to date: 1 input and its status command say so');
  assert.equal([times(resumed.stderr, 'uploaded'), times(resumed.stderr, 'deployed')], [0, 1]);
  await writeFile(join(folder, 'source', 'c.txt'), 'c');
  assert.is(times((await run('again.ts', 'build')).stderr, built), 1);
});

test('every example is run here and named in the README', () => {
  const files = readdirSync(examples).filter((name) => name.endsWith('.ts'));
  assert.equal([...ran].sort(), files.sort());
  const readme = readFileSync(join(library, 'README.md'), 'utf8');
  for (const file of files) assert.ok(readme.includes(`examples/${file}`), file);
});

/** What somebody who wants to be warned of everything sets. */
const compilerOptions = {
  ...{ target: 'es2023', lib: ['es2023'], types: ['node'], module: 'nodenext', moduleResolution: 'nodenext' },
  ...{ strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true },
  // zx's own declarations name types that it does not bring along.
  ...{ noEmit: true, allowImportingTsExtensions: true, skipLibCheck: true },
};

/* Somebody else's project: nothing in it is ours but the path of the door. */
test('a file of tasks outside the project imports the door, compiles and runs', async () => {
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  await mkdir(join(folder, 'node_modules'));
  // tsc looks for the types of Node there.
  await symlink(join(root, 'node_modules', '@types'), join(folder, 'node_modules', '@types'));
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  const example = readFileSync(join(library, 'examples', 'commands.ts'), 'utf8');
  await writeFile(join(folder, 'tasks.ts'), example.replace('../runner.ts', door));
  const inspected = await runFile(process.execPath, ['--import', loader, 'tasks.ts', 'inspect'], folder);
  assert.is(inspected.exitCode, 0, inspected.stderr);
  const compiled = await runFile(join(root, 'node_modules', '.bin', 'tsc'), ['--project', folder], folder);
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
