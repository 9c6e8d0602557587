import { readFile, readdir } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A file that is served. */
export interface StaticFile {
  readonly body: Buffer;
  readonly type: string;
  /** Whether its name changes with its content, so that it can be kept for good. */
  readonly immutable: boolean;
}

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
};

/**
 * The files of a folder by their paths (`/assets/x.js`). All are read at once: what is not among them
 * does not exist, whatever a request makes of its path.
 */
export async function loadSite(directory: URL): Promise<ReadonlyMap<string, StaticFile>> {
  const root = fileURLToPath(directory);
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = new Map<string, StaticFile>();
  for (const entry of entries) {
    const type = TYPES[extname(entry.name)];
    if (!entry.isFile() || type === undefined) continue;
    const file = join(entry.parentPath, entry.name);
    const path = `/${relative(root, file).split(sep).join('/')}`;
    files.set(path, { body: await readFile(file), type, immutable: path.startsWith('/assets/') });
  }
  return files;
}
