import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Packages that the worker has something of. */
const PARTS = ['renter', 'kad', 'protocol', 'erasure'];

/**
 * Which of the compiled workers to start: the one in one file, which starts in a seventh of the time, where it is there
 * and nothing was compiled since.
 *
 * @param modules - the worker whose parts are modules of their own, in the folder `dist` of its package
 * @param bundled - the one in one file
 */
export function newestWorker(modules: URL, bundled: URL): URL {
  const packages = join(fileURLToPath(modules), '../../..');
  const compiled = PARTS.map((name) => changed(join(packages, name, 'dist/.tsbuildinfo')));
  const time = changed(fileURLToPath(bundled));
  return time > 0 && time >= Math.max(...compiled) ? bundled : modules;
}

/** When a file was last written to; 0 when it is not there. */
function changed(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
