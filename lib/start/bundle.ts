import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

/*
 * Bundles a program into one file, as loading many modules takes far longer than running them: `node --import tsx
 * lib/start/bundle.ts tasks.ts .build/tasks.mjs`. Replaces the file atomically, so two processes may do this at once.
 * Fails silently for a syntax error or an unwritable folder, since the sources can be run.
 */

const [, , entry = '', output = ''] = process.argv;
const folder = dirname(output);
/** Stands in the code for its digest, by which it finds its map: of builds at the same time, any map fits any code. */
const digestPlace = 'digest'.padEnd(64, '-');

/** Milliseconds. File system clocks tick every 4 to 10 ms; changes within a tick count as newer. */
const tickMs = 20;

/** Makes `import.meta.url` the source's, since modules find data files by it. */
const ownPlaces: Plugin = {
  name: 'own-places',
  setup: ({ onLoad }) => {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      return { contents: text.replaceAll('import.meta.url', `${urlOf(path)}.href`), loader: 'ts' };
    });
  },
};

/** Loads these with the modules that use them: if the bundle imports them, Node 24 loads all of undici. */
const lateBuiltins: Plugin = {
  name: 'late-builtins',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^node:/ }, ({ path, namespace }) =>
      namespace === 'late' ? { path, external: true } : { path, namespace: 'late' },
    );
    onLoad({ filter: /./, namespace: 'late' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)});`,
    }));
  },
};

/** Leaves out packages that few runs need and import by `import()`: they would slow down every start. */
const seldomNeeded: Plugin = {
  name: 'seldom-needed',
  setup: ({ onResolve }) => {
    onResolve({ filter: /^(@dagrejs\/dagre|@inquirer\/search|chokidar|diff|pg)$/ }, ({ path }) => ({
      path: encodeURI(relative(folder, fileURLToPath(import.meta.resolve(path)))),
      external: true,
    }));
  },
};

/** An expression. */
function urlOf(path: string): string {
  return `new URL(${JSON.stringify(encodeURI(relative(folder, path)))}, import.meta.url)`;
}

const temporary = `${output}.${process.pid}`;
try {
  await mkdir(folder, { recursive: true });
  await writeFile(temporary, '');
  const { mtimeMs: begun } = await stat(temporary);
  const { outputFiles } = await build({
    entryPoints: [entry],
    outfile: output,
    write: false,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    // In a separate file, as this one is read at every start.
    sourcemap: 'linked',
    sourcesContent: false,
    minifyWhitespace: true,
    lineLimit: 120,
    legalComments: 'none',
    logLevel: 'silent',
    banner: {
      js: [
        // CommonJS packages call it.
        "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
        `const bundleId = '${digestPlace}';`,
        `process.argv[1] = decodeURI(${urlOf(entry)}.pathname);`,
      ].join(' '),
    },
    inject: [fileURLToPath(new URL('source-lines.ts', import.meta.url))],
    plugins: [ownPlaces, lateBuiltins, seldomNeeded],
  });
  const [map = '', code = ''] = outputFiles.map(({ text }) => text);
  const bundleId = createHash('sha256').update(code).digest('hex');
  await writeFile(temporary, JSON.stringify({ ...JSON.parse(map), bundleId }));
  await rename(temporary, `${output}.map`);
  await writeFile(temporary, code.replace(digestPlace, bundleId));
  // As old as its sources.
  const seconds = (begun - tickMs) / 1000;
  await utimes(temporary, seconds, seconds);
  await rename(temporary, output);
} catch {
  await rm(temporary, { force: true });
  process.exitCode = 1;
}
