import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { expect, it } from 'vitest';
import { LmdbRecords } from './lmdb-records.js';

it('reads what an older Granary wrote, whose keys lmdb encoded', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'granary-lmdb-'));
  const names = ['a', 'b\u0004c', 'ü'.repeat(20), 'n'.repeat(49), 'n'.repeat(50), 'n'.repeat(300)];
  const keys = [...names.map((name) => `object/bucket\0${name}`), `holding/${'f'.repeat(64)}/x`];
  const root = open<Buffer, string>({
    path: join(directory, 'renter.lmdb'),
    encoding: 'binary',
    maxDbs: 4,
    noSubdir: true,
  });
  const old = root.openDB<Buffer, string>({ name: 'rows', encoding: 'binary' });
  for (const key of keys) await old.put(key, Buffer.from(key));
  await root.close();
  for (let again = 0; again < 2; again += 1) {
    const records = await LmdbRecords.open(directory);
    const found = await records.range({ start: 'a', end: 'z' });
    expect(found.map(({ key }) => key)).toEqual([...keys].sort());
    for (const { key, value } of found) expect(value.toString()).toBe(key);
    expect(await records.get(keys)).toHaveLength(keys.length);
    await records.close();
  }
  await rm(directory, { recursive: true });
});
