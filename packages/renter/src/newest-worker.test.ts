import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { newestWorker } from './newest-worker.js';

it('chooses the worker in one file unless it is missing, or a part of it was compiled since', async () => {
  const packages = await mkdtemp(join(tmpdir(), 'granary-worker-'));
  const touch = async (path: string, time: number) => {
    const file = join(packages, path);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, '');
    await utimes(file, time, time);
  };
  const url = (name: string) => pathToFileURL(join(packages, 'renter/dist', name));
  const [modules, bundled] = [url('segment-worker.js'), url('bundled-segment-worker.js')];
  try {
    await touch('renter/dist/segment-worker.js', 100);
    expect(newestWorker(modules, bundled)).toBe(modules);
    // As it is installed, without the compiler's notes.
    await touch('renter/dist/bundled-segment-worker.js', 100);
    expect(newestWorker(modules, bundled)).toBe(bundled);
    for (const name of ['renter', 'kad', 'protocol', 'erasure']) {
      await touch(`${name}/dist/.tsbuildinfo`, 100);
      expect(newestWorker(modules, bundled)).toBe(bundled);
      await touch(`${name}/dist/.tsbuildinfo`, 101);
      expect(newestWorker(modules, bundled)).toBe(modules);
      await touch(`${name}/dist/.tsbuildinfo`, 99);
    }
  } finally {
    await rm(packages, { recursive: true, force: true });
  }
});
