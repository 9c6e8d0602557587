import { randomBytes } from 'node:crypto';
import { mkdtemp, open, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sql, { type Sql, raw } from 'sql-template-tag';
import {
  type MetadataStore,
  type NewVersion,
  type SqlDatabase,
  openDatabase,
  openMetadataStore,
} from '@granary/bridge';
import { silentLogger, systemClock, systemRandom } from '@granary/kad';

const PUTS = 2000;
const PARALLEL = 64;
const SIZE = 4096;
const PAGE = 1000;
/** Common prefixes in a bucket. */
const PREFIXES = 1000;

/**
 * The bridge's metadata: small objects put, beside files written and synced one by one on the same disk;
 * pages of a bucket of a million keys, beside pages of one of some thousand, and beside the query that one
 * would write first. GRANARY_BENCH_OBJECTS names another number than that million. SQLite, and PostgreSQL where GRANARY_POSTGRES_URL names an empty database.
 */
export async function benchMetadata(report: (line: string) => void): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'granary-bench-'));
  try {
    const files = await rateOf((i) => writeFile(directory, i));
    report(
      `files: ${PUTS} of ${SIZE} bytes, written, synced and renamed, ${PARALLEL} at a time: ${files.toFixed(0)}/s`,
    );
    await benchDatabase('SQLite', join(directory, 'bridge.db'), files, report);
    const url = process.env['GRANARY_POSTGRES_URL'];
    if (url === undefined) report('PostgreSQL: name an empty database by GRANARY_POSTGRES_URL');
    else await benchDatabase('PostgreSQL', url, files, report);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function benchDatabase(
  name: string,
  url: string,
  files: number,
  report: (line: string) => void,
): Promise<void> {
  const objects = Number(process.env['GRANARY_BENCH_OBJECTS'] ?? 1_000_000);
  const store = await openMetadataStore({ database: url, masterKey: randomBytes(32) });
  const database = await openDatabase(url, {
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
  });
  try {
    const { id: owner } = await store.createUser({
      name: 'bench',
      disabled: false,
      admin: false,
      passwordHash: null,
      quota: { bytes: null, objects: null, buckets: null },
      attributes: {},
    });
    await store.createBucket({ name: 'puts', owner });
    const bytes = randomBytes(SIZE);
    const puts = await rateOf((i) => store.putVersion(version('puts', `k/${i}`, bytes, owner)));
    report(
      `${name}: ${PUTS} puts of ${SIZE} bytes inline, ${PARALLEL} at a time: ${puts.toFixed(0)}/s, ` +
        `${(puts / files).toFixed(1)} times the files`,
    );
    const small = await listings(store, database, 'small', owner, 2);
    const perPrefix = Math.max(2, Math.round(objects / PREFIXES));
    const large = await listings(store, database, 'large', owner, perPrefix);
    const line = (what: string, a: number, b: number) =>
      report(
        `${name}: a page of ${PAGE} ${what}: ${a.toFixed(1)} ms in a bucket of ${2 * PREFIXES}, ` +
          `${b.toFixed(1)} ms in one of ${perPrefix * PREFIXES}, ${(b / a).toFixed(2)} times as long`,
      );
    line('keys', small.flat, large.flat);
    line('common prefixes', small.rolled, large.rolled);
    report(
      `${name}: the same prefixes by GROUP BY: ${large.grouped.toFixed(1)} ms, ` +
        `${(large.grouped / large.rolled).toFixed(1)} times as long`,
    );
  } finally {
    await database.close();
    await store.close();
  }
}

/**
 * Times of pages, median of 15, in milliseconds. Rows between those that are read are written by SQL: what is
 * sealed in them is nobody's, and no listing opens it.
 */
async function listings(
  store: MetadataStore,
  database: SqlDatabase,
  bucket: string,
  owner: string,
  perPrefix: number,
) {
  const { id } = await store.createBucket({ name: bucket, owner });
  for (let first = 0; first < PREFIXES; first += 50) {
    await database.write(function* () {
      yield fill(database, Buffer.from(id, 'hex'), first, perPrefix);
    });
  }
  await rateOf(
    (i) =>
      store.putVersion(
        version(bucket, `p0500-${String(i).padStart(6, '0')}`, new Uint8Array(), owner),
      ),
    PAGE,
  );
  if (database.dialect === 'postgres') {
    await database.write(function* () {
      yield sql`ANALYZE versions`;
    });
  }
  const flat = await median(
    () => store.listObjects({ bucket, after: 'p0500-', limit: PAGE }),
    PAGE,
  );
  const rolled = await median(
    () => store.listObjects({ bucket, delimiter: '/', limit: PAGE }),
    PAGE,
  );
  const grouped = await median(
    () =>
      database.read(function* () {
        return { objects: [], commonPrefixes: yield group(database, Buffer.from(id, 'hex')) };
      }),
    PAGE,
  );
  return { flat, rolled, grouped };
}

const bytea = (database: SqlDatabase, text: string) =>
  database.dialect === 'postgres'
    ? raw(`convert_to(${text}, 'UTF8')`)
    : raw(`CAST(${text} AS BLOB)`);

/** Rows of 50 prefixes, whose contents nobody can open. */
export function fill(database: SqlDatabase, bucket: Buffer, first: number, perPrefix: number): Sql {
  const postgres = database.dialect === 'postgres';
  const digits = (n: string, width: number) =>
    postgres ? `lpad(${n}::text, ${width}, '0')` : `printf('%0${width}d', ${n})`;
  const key = bytea(database, `'p' || ${digits('p.n', 4)} || '/' || ${digits('k.n', 6)}`);
  const series = (from: number, to: number) =>
    postgres
      ? raw(`(SELECT generate_series(${from}, ${to}) AS n)`)
      : raw(
          `(WITH RECURSIVE s (n) AS (SELECT ${from} UNION ALL SELECT n + 1 FROM s WHERE n < ${to}) SELECT n FROM s)`,
        );
  const sealed = randomBytes(280);
  const cast = (value: Buffer) => (postgres ? sql`${value}::bytea` : sql`${value}`);
  return sql`INSERT INTO versions
    (bucket, key, rank, version, latest, listed, size, body, parts, summary, details)
    SELECT ${cast(bucket)}, ${key}, -1, 'null', 1, 1, 0, NULL, NULL, ${cast(sealed)}, ${cast(sealed)}
    FROM ${series(first, first + 49)} p, ${series(1, perPrefix)} k`;
}

/** Common prefixes as one would ask for them first. */
function group(database: SqlDatabase, bucket: Buffer): Sql {
  const prefix =
    database.dialect === 'postgres'
      ? raw(`substring(key from 1 for position('\\x2f'::bytea in key))`)
      : raw(`substr(key, 1, instr(key, x'2f'))`);
  return sql`SELECT ${prefix} AS p FROM versions
    WHERE bucket = ${bucket} AND listed = 1 GROUP BY 1 ORDER BY 1 LIMIT ${PAGE}`;
}

async function median(
  page: () => Promise<{ objects: readonly unknown[]; commonPrefixes: readonly unknown[] }>,
  expected: number,
): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 15; i += 1) {
    const begun = performance.now();
    const { objects, commonPrefixes } = await page();
    times.push(performance.now() - begun);
    if (objects.length + commonPrefixes.length !== expected) throw new Error('not a whole page');
  }
  return times.sort((a, b) => a - b)[7]!;
}

/** How many are done in a second. */
async function rateOf(work: (i: number) => Promise<unknown>, count = PUTS): Promise<number> {
  const begun = performance.now();
  let next = 0;
  const run = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: PARALLEL }, run));
  return count / ((performance.now() - begun) / 1000);
}

async function writeFile(directory: string, i: number): Promise<void> {
  const path = join(directory, `file-${i}`);
  const file = await open(`${path}.part`, 'wx');
  await file.write(randomBytes(SIZE));
  await file.sync();
  await file.close();
  await rename(`${path}.part`, path);
  const parent = await open(directory, 'r');
  await parent.sync();
  await parent.close();
}

/** A version with its bytes inline. */
export function version(bucket: string, key: string, bytes: Uint8Array, owner: string): NewVersion {
  return {
    bucket,
    key,
    body: { kind: 'inline', bytes },
    size: bytes.length,
    etag: 'd41d8cd98f00b204e9800998ecf8427e',
    checksums: [],
    owner,
    storageClass: 'STANDARD',
    details: { headers: {}, metadata: {}, tags: {}, acl: null, encryption: null },
  };
}
