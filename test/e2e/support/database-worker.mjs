// One of many processes over one database, to be killed at any time. It says on stdout what it has begun and
// what was acknowledged, a line of JSON each; lines that were not written when it died are of no matter.
import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { SqlRecords, openDatabase, openMetadataStore } from '@granary/bridge';
import { silentLogger, systemClock, systemRandom } from '@granary/kad';
import { LmdbRecords } from '@granary/renter';

const [mode, database, masterKey, name, ownerId] = process.argv.slice(2);
const say = (line) => writeSync(1, `${JSON.stringify(line)}\n`);
const keys = ['a', 'b', 'c', 'd'];

/** The store, as soon as the database can be had. */
async function opened() {
  for (;;) {
    try {
      return await openMetadataStore({ database, masterKey: Buffer.from(masterKey, 'hex') });
    } catch (error) {
      if (error.code !== 'METADATA_UNAVAILABLE') throw error;
    }
  }
}

async function metadata() {
  const store = await opened();
  const details = { headers: {}, metadata: {}, tags: {}, acl: null, encryption: null };
  for (let i = 0; ; i += 1) {
    const key = `${name}/${keys[i % keys.length]}`;
    const text = `${name} ${process.pid} ${i}`;
    try {
      if (i % 7 === 6) {
        say({ begun: key, text: null });
        await store.deleteObject({ bucket: 'bucket', key });
        say({ done: key, text: null });
        continue;
      }
      const base = { bucket: 'bucket', key, etag: text, checksums: [], owner: ownerId, details };
      if (i % 3 === 0) {
        const contentId = randomBytes(16).toString('hex');
        await store.beginContents([contentId], 3000);
        say({ content: contentId });
        const body = { kind: 'extents', extents: [{ contentId, offset: 0, length: 9 }] };
        say({ begun: key, text });
        await store.putVersion({ ...base, body, size: 9, storageClass: 'STANDARD' });
      } else {
        const bytes = Buffer.from(text);
        const body = { kind: 'inline', bytes };
        say({ begun: key, text });
        await store.putVersion({ ...base, body, size: bytes.length, storageClass: 'STANDARD' });
      }
      say({ done: key, text });
      for (const job of await store.takeJobs('work', 1, 1500)) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        await store.finishJob(job);
        say({ job: job.id });
      }
    } catch (error) {
      // While the database is away, and of leases that passed to another.
      if (!/^METADATA_(UNAVAILABLE|LEASE_LOST|CONTENT_LOST)$/.test(error.code)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function records() {
  const parts = { clock: systemClock, random: systemRandom, logger: silentLogger };
  const store =
    mode === 'lmdb'
      ? await LmdbRecords.open(database)
      : await SqlRecords.open(await openDatabase(database, parts), 'renter');
  for (;;) {
    try {
      const now = await store.write(function* () {
        const found = yield { op: 'get', keys: ['left', 'right', `of ${name}`] };
        const read = (key) =>
          Number(found.find((record) => record.key === key)?.value.toString() ?? 0);
        const write = (key) => ({
          op: 'write',
          records: new Map([[key, Buffer.from(String(read(key) + 1))]]),
        });
        // Three writes, so that one may be killed between them.
        yield write('left');
        yield write(`of ${name}`);
        yield write('right');
        return read(`of ${name}`) + 1;
      });
      say({ count: now });
    } catch (error) {
      if (error.code !== 'RENTER_STORE') throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

await (mode === 'metadata' ? metadata() : records());
