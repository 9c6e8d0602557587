import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Alias, build } from 'vite';
import { serveFolder } from './browser.js';

/** A page that was bundled, and is served on loopback. */
export interface BuiltPage {
  readonly url: string;
  readonly folder: string;
  close(): Promise<void>;
}

/**
 * Bundle a page as a user of the packages would, with nothing set, and serve it.
 *
 * @param name - of its folder beside this file
 */
export async function buildPage(name: string, alias: readonly Alias[] = []): Promise<BuiltPage> {
  const folder = await mkdtemp(join(tmpdir(), 'granary-page-'));
  await build({
    configFile: false,
    root: new URL(`./${name}`, import.meta.url).pathname,
    logLevel: 'warn',
    resolve: { alias: [...alias] },
    build: { outDir: folder, emptyOutDir: true, target: 'es2023' },
  });
  const served = await serveFolder(folder);
  return {
    url: served.url,
    folder,
    close: async () => {
      await served.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The scripts of a page, by name, and their sizes as they are and gzipped. */
export async function scriptsOf({ folder }: BuiltPage) {
  const names = (await readdir(join(folder, 'assets'))).filter((name) => name.endsWith('.js'));
  return Promise.all(
    names.map(async (name) => {
      const code = await readFile(join(folder, 'assets', name));
      return { name, code: code.toString(), bytes: code.length, gzipped: gzipSync(code).length };
    }),
  );
}
