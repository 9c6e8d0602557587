import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeDirectory } from './make-directory.js';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-directory-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

it('makes what is missing, for its owner alone, and leaves what is there', async () => {
  const deep = join(directory, 'a', 'b', 'c');
  // Several at one time, one of them by another name.
  await Promise.all([makeDirectory(deep), makeDirectory(relative('.', deep)), makeDirectory(deep)]);
  for (const one of [deep, join(directory, 'a')]) {
    expect((await stat(one)).mode & 0o777).toBe(0o700);
  }
  await writeFile(join(deep, 'file'), 'kept');
  await makeDirectory(deep);
  expect((await stat(join(deep, 'file'))).size).toBe(4);
  await makeDirectory('/');
});

it('says what it could not make, and why', async () => {
  const file = join(directory, 'file');
  await writeFile(file, '');
  for (const path of [file, join(file, 'x', 'y')]) {
    await expect(makeDirectory(path)).rejects.toMatchObject({
      code: 'KAD_DIRECTORY',
      message: expect.stringContaining(path) as string,
    });
  }
});

it.skipIf(process.platform !== 'linux')('ends where no directory can be made', async () => {
  for (const path of ['/proc/granary', '/proc/granary/x/y']) {
    await expect(makeDirectory(path)).rejects.toMatchObject({ code: 'KAD_DIRECTORY' });
  }
});
