import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase, openMetadataStore } from '@granary/bridge';
import { silentLogger, systemClock, systemRandom } from '@granary/kad';
import { fill, version } from '../metadata-bench.js';
import type { Point } from './curve.js';

/** Prefixes that one statement fills. */
const PREFIXES = 50;
const PAGE = 100;
const TIMES = 200;

/** CPU of an operation on a bucket of a bridge on SQLite, in milliseconds, by the objects in the bucket. */
export async function bucketSizes(
  most: number,
  report: (line: string) => void,
): Promise<{ put: Point[]; get: Point[]; page: Point[] }> {
  const directory = await mkdtemp(join(tmpdir(), 'granary-bench-growth-'));
  try {
    const points = { put: [] as Point[], get: [] as Point[], page: [] as Point[] };
    const bytes = randomBytes(1024);
    for (let n = 100; n <= most; n *= 10) {
      const url = join(directory, `${n}.db`);
      const store = await openMetadataStore({ database: url, masterKey: randomBytes(32) });
      const parts = { clock: systemClock, random: systemRandom, logger: silentLogger };
      const database = await openDatabase(url, parts);
      try {
        const { id: owner } = await store.createUser({
          name: 'bench',
          disabled: false,
          admin: false,
          passwordHash: null,
          quota: { bytes: null, objects: null, buckets: null },
          attributes: {},
        });
        const { id } = await store.createBucket({ name: 'bench', owner });
        const perPrefix = Math.min(1000, n / PREFIXES);
        for (let first = 0; first * perPrefix < n; first += PREFIXES) {
          await database.write(function* () {
            yield fill(database, Buffer.from(id, 'hex'), first, perPrefix);
          });
        }
        const name = (i: number) => `p0025-${String(i).padStart(6, '0')}`;
        const cpuOf = async (work: (i: number) => Promise<unknown>) => {
          const before = process.cpuUsage();
          for (let i = 0; i < TIMES; i += 1) await work(i);
          const { user, system } = process.cpuUsage(before);
          return (user + system) / 1000 / TIMES;
        };
        const put = await cpuOf((i) => store.putVersion(version('bench', name(i), bytes, owner)));
        const get = await cpuOf((i) => store.version('bench', name(i)));
        const page = await cpuOf(() =>
          store.listObjects({ bucket: 'bench', after: 'p0025-', limit: PAGE }),
        );
        points.put.push({ n, cost: put });
        points.get.push({ n, cost: get });
        points.page.push({ n, cost: page });
        report(
          `  ${String(n).padStart(9)} objects: put ${put.toFixed(3)} ms of CPU, get ${get.toFixed(3)}, a page of ${PAGE} ${page.toFixed(3)}`,
        );
      } finally {
        await database.close();
        await store.close();
      }
    }
    return points;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
