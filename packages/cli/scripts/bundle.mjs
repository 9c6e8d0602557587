// Puts the built command and what it imports into a few files, `bundle/`: they start in a fraction of the
// time that some hundred modules take. See docs/decisions/0033.
import { readFile, rm } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const cli = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const packages = dirname(cli);
const bundle = join(cli, 'bundle');
const owner = (id) => /^([a-z]+)\/dist\//.exec(relative(packages, id))?.[1];

/** Native code, what reads files of its own, and what is hardly ever needed stay in their packages. */
const external = [
  /^node:/,
  'lmdb',
  'node-datachannel',
  '@photostructure/sqlite',
  'tiny-secp256k1',
  'pg-native',
  'acme-client',
];

/**
 * Files that a module of ours names relative to itself stay where they are, but the module moves, into
 * one folder with all others. Threads move with it: they are entries of the bundle.
 */
function moveUrls(code, id, name) {
  return code.replace(/new URL\('(\.[^']*)', import\.meta\.url\)/g, (whole, path) => {
    if (path.endsWith('-worker.js')) return whole;
    const target = resolve(dirname(id), path);
    const slash = path.endsWith('/') ? '/' : '';
    const [root, base] =
      name === 'cli'
        ? [bundle, 'import.meta.url']
        : [join(packages, name, 'dist'), `import.meta.resolve('@granary/${name}')`];
    return `new URL('${relative(root, target)}${slash}', ${base})`;
  });
}

/** What may be left of `import.meta.url`: what means the same in every file of the folder. */
const HARMLESS =
  /createRequire\(import\.meta\.url\)|import\.meta\.url\.endsWith|new URL\((?:'\.\/|`\$\{beside\})[a-z-]+-worker\.js['`], import\.meta\.url\)/g;

/** Reads modules of ours with the maps that tsc wrote, so that the bundle's maps lead to the sources. */
const ours = {
  name: 'granary',
  async load(id) {
    const name = owner(id);
    if (name === undefined || !id.endsWith('.js')) return null;
    const code = moveUrls(await readFile(id, 'utf8'), id, name);
    const left = name === 'cli' ? code.replaceAll(/new URL\('\.\.[^)]*\)/g, '') : code;
    if (left.replaceAll(HARMLESS, '').includes('import.meta.url')) {
      throw new Error(`${id} uses import.meta.url in a way that scripts/bundle.mjs does not know`);
    }
    return { code, map: await readFile(`${id}.map`, 'utf8') };
  },
};

/** A file is named after the package that most of it comes from: who reads a stack trace sees it. */
function nameOf({ moduleIds }) {
  const counts = new Map();
  for (const id of moduleIds) {
    const foreign = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1];
    const name = owner(id) ?? foreign?.replace(/^@/, '').replace('/', '-') ?? 'shared';
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const [most] = [...counts].sort((a, b) => b[1] - a[1])[0] ?? ['shared'];
  return most === 'cli' ? '[name].js' : `${most}.js`;
}

await rm(bundle, { recursive: true, force: true });
const build = await rolldown({
  input: {
    main: join(cli, 'dist/main.js'),
    // In one file already, which shares nothing with others.
    'segment-worker': join(packages, 'renter/dist/bundled-segment-worker.js'),
    'identity-miner-worker': join(packages, 'kad/dist/identity-miner-worker.js'),
  },
  platform: 'node',
  external,
  plugins: [ours],
});
const { output } = await build.write({
  dir: bundle,
  format: 'esm',
  sourcemap: true,
  sourcemapExcludeSources: true,
  entryFileNames: '[name].js',
  chunkFileNames: nameOf,
});
await build.close();
const chunks = output.filter(({ type }) => type === 'chunk');
const bytes = chunks.reduce((sum, { code }) => sum + Buffer.byteLength(code), 0);
console.log(`bundle: ${chunks.length} files, ${(bytes / 1e6).toFixed(1)} MB`);
