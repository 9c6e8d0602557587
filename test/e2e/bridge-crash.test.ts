import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  ListObjectsV2Command,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { expect, it } from 'vitest';
import {
  CONTENT_BUCKET,
  ContentKeeper,
  JournalWriter,
  type MetadataStore,
  RenterBackend,
  SqlRecords,
  openDatabase,
  openMetadataStore,
  recoverMetadata,
} from '@granary/bridge';
import { type Clock, silentLogger, systemClock, systemRandom } from '@granary/kad';
import { parseScheme } from '@granary/protocol';
import { Renter, defaultReputationSettings, loadKeyFile } from '@granary/renter';
import {
  type PostgresServer,
  startPostgres,
} from '../../packages/bridge/src/sql/postgres-server.test-support.js';
import { setUpAnewForRetries } from './support/anew.js';
import { type BridgeKey, type BridgeProcess, startBridge, stopBridge } from './support/bridge.js';
import { TestNetwork, heldBy, until } from './support/granary.js';
import { S3Model, type Written, md5Of, multipartEtag } from './support/s3-model.js';
import { seeded } from './support/seeded.js';

/** How long processes are killed for; GRANARY_CRASH_SECONDS sets another time. */
const SECONDS = Number(process.env['GRANARY_CRASH_SECONDS'] ?? 25);
/** What is done and when is drawn from this; GRANARY_SEED sets another. */
const SEED = Number(process.env['GRANARY_SEED'] ?? 1);
const MIB = 1024 * 1024;
const SCHEME = '2/3/4/5';
const PLAIN = 'plain';
const VERSIONED = 'versioned';
const MASTER_KEY = '5a'.repeat(32);
/** Longer than any claim on a content holds. */
const LATER_MS = 11 * 60_000;

let network: TestNetwork;
let postgres: PostgresServer;
let database: string;
let key: BridgeKey;
const bridges: Restarted[] = [];

const NONE = {
  acknowledged: 0,
  failed: 0,
  slowestMs: 0,
  reads: 0,
  listings: 0,
  bridges: 0,
  postgres: 0,
};
const counts = { ...NONE };

/** A bridge that is started again on its port when it was killed. */
class Restarted {
  private running: BridgeProcess | undefined;
  private port = 0;

  constructor(private readonly home: string) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<BridgeProcess> {
    const listen = ['--listen', `127.0.0.1:${this.port}`, '--pack', '4s'];
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.running = await startBridge(this.home, [...listen, '--database', database]);
        break;
      } catch (error) {
        // The database may have been away for longer than it is waited for.
        if (attempt === 3) throw error;
      }
    }
    this.port = Number(new URL(this.running.url).port);
    return this.running;
  }

  async kill(): Promise<void> {
    if (this.running !== undefined) await stopBridge(this.running, 'SIGKILL');
  }
}

async function setUp(): Promise<void> {
  process.env['GRANARY_BRIDGE_MASTER_KEY'] = MASTER_KEY;
  [network, postgres] = await Promise.all([TestNetwork.start(6), startPostgres()]);
  database = await postgres.createDatabase();
  const config = JSON.stringify({
    bootstrap: network.farmers.slice(0, 3).map(({ address }) => address),
    scheme: SCHEME,
    records: database,
  });
  const second = join(network.directory, 'second');
  await mkdir(second);
  await copyFile(join(network.home, 'keys.json'), join(second, 'keys.json'));
  for (const home of [network.home, second]) {
    await writeFile(join(home, 'config.json'), config);
    bridges.push(new Restarted(home));
  }
  key = (await bridges[0]!.start()).key!;
  await bridges[1]!.start();
}
async function tearDown(): Promise<void> {
  delete process.env['GRANARY_BRIDGE_MASTER_KEY'];
  for (const bridge of bridges.splice(0)) await bridge.kill();
  await postgres?.close();
  await network?.stop();
  Object.assign(counts, NONE);
}
setUpAnewForRetries(setUp, tearDown);

/** A client of one bridge. It does not try again by itself: what failed may have happened. */
function clientOf(bridge: Restarted): S3Client {
  return new S3Client({
    endpoint: bridge.url,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: key,
    maxAttempts: 1,
    requestHandler: { requestTimeout: 120_000, connectionTimeout: 30_000 },
  });
}

/** What is read of an object at one time; null when there is none. */
async function read(
  s3: S3Client,
  Bucket: string,
  Key: string,
  VersionId?: string,
): Promise<Written | null> {
  try {
    const { Body, ETag } = await s3.send(new GetObjectCommand({ Bucket, Key, VersionId }));
    const bytes = Buffer.from(await Body!.transformToByteArray());
    return { bytes, etag: ETag!.replaceAll('"', '') };
  } catch (error) {
    if ((error as Error).name === 'NoSuchKey') return null;
    throw error;
  }
}

interface Listed {
  readonly key: string;
  readonly etag: string;
  readonly size: number;
}

/** All of a bucket, a few keys a page. */
async function list(s3: S3Client, Bucket: string): Promise<Listed[]> {
  const listed: Listed[] = [];
  for (let ContinuationToken: string | undefined; ;) {
    const page = await s3.send(
      new ListObjectsV2Command({ Bucket, ContinuationToken, MaxKeys: 10 }),
    );
    for (const { Key, ETag, Size } of page.Contents ?? []) {
      listed.push({ key: Key!, etag: ETag!.replaceAll('"', ''), size: Size! });
    }
    if (page.IsTruncated !== true) return listed;
    ContinuationToken = page.NextContinuationToken;
  }
}

const failures = new Map<string, number>();

/** Something of a client's that may fail while processes are being killed; whether it was acknowledged. */
async function attempt(work: () => Promise<unknown>): Promise<boolean> {
  const begun = Date.now();
  try {
    await work();
    counts.slowestMs = Math.max(counts.slowestMs, Date.now() - begun);
    return true;
  } catch (error) {
    const { name, message, $metadata } = error as Error & {
      $metadata?: { httpStatusCode?: number };
    };
    const status = $metadata?.httpStatusCode;
    const cut = /^(E[A-Z]+|aborted|socket hang up|.*ECONN.*|.*EPIPE.*|.*closed.*)$/.test(message);
    // A refusal, or an answer that takes for ever, is never right.
    const allowed = cut || /not establish a connection/.test(message) || (status ?? 0) >= 500;
    if (!allowed) throw error;
    const kind = `${status ?? ''} ${status === undefined ? message.slice(0, 40) : name}`.trim();
    failures.set(kind, (failures.get(kind) ?? 0) + 1);
    counts.failed += 1;
    await sleep(50);
    return false;
  }
}

/** Writes, overwrites, deletes and reads keys of its own, until it is told to stop. */
class Client {
  readonly model = new S3Model();
  /** Versions that were acknowledged, by ID. */
  readonly versions = new Map<string, { readonly key: string; readonly body: Written }>();
  private readonly random: () => number;
  private readonly clients: readonly S3Client[];

  constructor(
    private readonly name: string,
    private readonly bucket: string,
    seed: number,
  ) {
    this.random = seeded(seed);
    this.clients = bridges.map(clientOf);
  }

  async run(until: () => boolean): Promise<void> {
    while (!until()) await this.step();
    for (const s3 of this.clients) s3.destroy();
  }

  private below(n: number): number {
    return Math.floor(this.random() * n);
  }

  private bytes(size: number): Buffer {
    const bytes = Buffer.alloc(size, this.below(256));
    for (let i = 0; i < size; i += 61) bytes[i] = this.below(256);
    return bytes;
  }

  private async step(): Promise<void> {
    const s3 = this.clients[this.below(2)]!;
    const key = `${this.name}/${this.below(8)}`;
    const kind = this.random();
    if (kind < 0.4) await this.put(s3, key, this.below(16 * 1024));
    else if (kind < 0.55) await this.put(s3, key, 65 * 1024 + this.below(3 * MIB));
    else if (kind < 0.62) await this.multipart(s3, key);
    else if (kind < 0.82) await this.delete(s3, key);
    else await this.look(s3, key);
  }

  private async put(s3: S3Client, Key: string, size: number): Promise<void> {
    const bytes = this.bytes(size);
    const body = { bytes, etag: md5Of(bytes) };
    this.model.begin(Key, body);
    const done = await attempt(async () => {
      const made = await s3.send(new PutObjectCommand({ Bucket: this.bucket, Key, Body: bytes }));
      if (made.VersionId !== undefined) this.versions.set(made.VersionId, { key: Key, body });
    });
    if (!done) return;
    this.model.acknowledge(Key, body);
    counts.acknowledged += 1;
  }

  private async multipart(s3: S3Client, Key: string): Promise<void> {
    const at = { Bucket: this.bucket, Key };
    const parts = [this.bytes(5 * MIB), this.bytes(this.below(100_000))];
    const body = { bytes: Buffer.concat(parts), etag: multipartEtag(parts) };
    const aborts = this.random() < 0.2;
    let completing = false;
    const done = await attempt(async () => {
      const { UploadId } = await s3.send(new CreateMultipartUploadCommand(at));
      const upload = { ...at, UploadId };
      const sent = await Promise.all(
        parts.map(async (Body, i) => {
          const part = { ...upload, PartNumber: i + 1, Body };
          const { ETag } = await s3.send(new UploadPartCommand(part));
          return { PartNumber: i + 1, ETag };
        }),
      );
      if (aborts) {
        await s3.send(new AbortMultipartUploadCommand(upload));
        return;
      }
      completing = true;
      this.model.begin(Key, body);
      const made = await s3.send(
        new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: sent } }),
      );
      if (made.VersionId !== undefined) this.versions.set(made.VersionId, { key: Key, body });
    });
    if (!done || !completing) return;
    this.model.acknowledge(Key, body);
    counts.acknowledged += 1;
  }

  private async delete(s3: S3Client, Key: string): Promise<void> {
    this.model.begin(Key, null);
    const done = await attempt(() =>
      s3.send(new DeleteObjectCommand({ Bucket: this.bucket, Key })),
    );
    if (!done) return;
    this.model.acknowledge(Key, null);
    counts.acknowledged += 1;
  }

  /** What is read now is what the key may hold, and nobody but us can change it. */
  private async look(s3: S3Client, key: string): Promise<void> {
    let found: Written | null = null;
    if (!(await attempt(async () => void (found = await read(s3, this.bucket, key))))) return;
    this.check(key, found);
    counts.reads += 1;
  }

  check(key: string, found: Written | null): void {
    expect([...this.model.possible(key)], `${key} (seed ${SEED})`).toContain(found?.etag ?? null);
    if (found === null) return;
    const written = this.model.body(key, found.etag)!;
    expect(found.bytes.equals(written.bytes), `bytes of ${key} (seed ${SEED})`).toBe(true);
  }
}

/** Lists a bucket all the while: only whole objects are on it. */
async function watch(
  bucket: string,
  clients: readonly Client[],
  until: () => boolean,
): Promise<void> {
  const services = bridges.map(clientOf);
  for (let i = 0; !until(); i += 1) {
    let listed: Listed[] = [];
    const done = await attempt(async () => void (listed = await list(services[i % 2]!, bucket)));
    if (!done) continue;
    counts.listings += 1;
    for (const { key, etag, size } of listed) {
      const bodies = clients.map(({ model }) => model.body(key, etag));
      const body = bodies.find((found) => found !== undefined);
      expect(body?.bytes.length, `${key} with ${etag} on a listing (seed ${SEED})`).toBe(size);
    }
    await sleep(200);
  }
  for (const s3 of services) s3.destroy();
}

/** Wait until something was acknowledged, however busy the machine is. */
async function progress(until: () => boolean): Promise<void> {
  const before = counts.acknowledged;
  while (!until() && counts.acknowledged < before + 4) await sleep(20);
}

/** Kill bridges at random moments, and start them again. */
async function killBridges(until: () => boolean): Promise<void> {
  const random = seeded(SEED ^ 0x5eed);
  while (!until()) {
    await progress(until);
    await sleep(random() * 1000);
    const victim = bridges[random() < 0.5 ? 0 : 1]!;
    await victim.kill();
    counts.bridges += 1;
    await sleep(random() * 500);
    await victim.start();
  }
}

/** Kill PostgreSQL at random moments, and start it again. */
async function killPostgres(until: () => boolean): Promise<void> {
  const random = seeded(SEED ^ 0xda7a);
  while (!until()) {
    await progress(until);
    await progress(until);
    await sleep(random() * 1000);
    await postgres.kill();
    counts.postgres += 1;
    await sleep(200 + random() * 1500);
    await postgres.start();
  }
}

it(
  `keeps what it acknowledged and leaves nothing behind when it is killed for ${SECONDS} s`,
  async () => {
    process.stderr.write(`bridge crash test: GRANARY_SEED=${SEED}\n`);
    const s3 = clientOf(bridges[0]!);
    for (const Bucket of [PLAIN, VERSIONED]) await s3.send(new CreateBucketCommand({ Bucket }));
    await s3.send(
      new PutBucketVersioningCommand({
        Bucket: VERSIONED,
        VersioningConfiguration: { Status: 'Enabled' },
      }),
    );
    const plain = [1, 2, 3].map((n) => new Client(`client-${n}`, PLAIN, SEED * 1000 + n));
    const versioned = new Client('versions', VERSIONED, SEED * 1000 + 4);
    const end = Date.now() + SECONDS * 1000;
    // A client that finds something wrong ends all of it.
    let wrong = false;
    const enough = () =>
      counts.acknowledged > 20 && counts.bridges > 0 && counts.postgres > 0 && counts.listings > 0;
    // A busy machine gets more time.
    const over = () => wrong || (Date.now() > end && (enough() || Date.now() > end + 4 * 60_000));
    const work = [
      ...[...plain, versioned].map((client) => client.run(over)),
      watch(PLAIN, plain, over),
      killBridges(over),
      killPostgres(over),
    ];
    await Promise.all(
      work.map((one) =>
        one.catch((error: unknown) => {
          wrong = true;
          throw error;
        }),
      ),
    ).finally(() => Promise.allSettled(work));
    process.stderr.write(
      `bridge crash test: ${JSON.stringify({ ...counts, ...Object.fromEntries(failures) })}\n`,
    );
    expect(enough()).toBe(true);

    await everyWriteReadsBack(plain, versioned);
    for (const bridge of bridges) await bridge.kill();
    await withKeeper(async ({ collect, recoverCopy, renter }) => {
      await collect();
      await nothingIsOrphaned(renter);
      await recoverCopy();
      await bridges[0]!.start();
      const again = clientOf(bridges[0]!);
      await emptyBucket(again, PLAIN);
      await emptyBucket(again, VERSIONED);
      again.destroy();
      await bridges[0]!.kill();
      await collect();
      await nothingIsOrphaned(renter);
      // What is left on the farmers is the renter's index, and the bridge's journal.
      for await (const { name } of renter.list(CONTENT_BUCKET)) expect.fail(`${name} is left`);
    });
    s3.destroy();
  },
  10 * 60_000 + SECONDS * 1000,
);

/** Through either bridge: every key holds what it may, and the listing says the same. */
async function everyWriteReadsBack(plain: readonly Client[], versioned: Client): Promise<void> {
  const services = bridges.map(clientOf);
  const [a, b] = services as [S3Client, S3Client];
  for (const [bucket, clients] of [
    [PLAIN, plain],
    [VERSIONED, [versioned]],
  ] as const) {
    const listed = new Map((await list(b, bucket)).map((entry) => [entry.key, entry]));
    for (const client of clients) {
      for (const key of client.model.states.keys()) {
        const found = await read(a, bucket, key);
        client.check(key, found);
        const { etag, size } = listed.get(key) ?? {};
        expect([etag, size], `listing of ${key}`).toEqual([found?.etag, found?.bytes.length]);
        listed.delete(key);
      }
    }
    expect([...listed.keys()]).toEqual([]);
  }
  for (const [id, { key, body }] of versioned.versions) {
    const found = await read(b, VERSIONED, key, id);
    expect(found?.bytes.equals(body.bytes), `version ${id} of ${key} (seed ${SEED})`).toBe(true);
  }
  for (const s3 of services) s3.destroy();
}

/**
 * What bridges do in rounds, done now by a keeper and a renter of our own, eleven minutes from now: claims
 * of bridges that were killed have run out then. All bridges have ended.
 */
async function withKeeper(
  work: (tools: {
    collect: () => Promise<void>;
    recoverCopy: () => Promise<void>;
    renter: Renter;
  }) => Promise<void>,
): Promise<void> {
  const later: Clock = { ...systemClock, now: () => systemClock.now() + LATER_MS };
  const metadata = await openMetadataStore({
    database,
    masterKey: Buffer.from(MASTER_KEY, 'hex'),
    clock: later,
  });
  const keys = await loadKeyFile(join(network.home, 'keys.json'), undefined);
  const parts = { clock: systemClock, random: systemRandom, logger: silentLogger };
  const records = await SqlRecords.open(await openDatabase(database, parts), keys.identity.nodeId);
  // All ran on this machine: who is gone is known to be.
  Object.defineProperty(records, 'reach', { value: 'machine' });
  const renter = await Renter.open({
    directory: join(network.directory, 'third'),
    records,
    keys,
    bootstrap: network.farmers.map(({ address }) => address),
    logger: silentLogger,
    settings: {
      scheme: parseScheme(SCHEME),
      reputation: { ...defaultReputationSettings, offlineMs: 500 },
    },
  });
  const backend = new RenterBackend(renter);
  const common = { metadata, backend, roundMs: 1000, ...parts, clock: later };
  const journal = new JournalWriter(common);
  const keeper = new ContentKeeper({ ...common, journal, packMs: 0 });
  const { signal } = new AbortController();
  const collect = async () => {
    await until(
      'nothing is left to delete',
      async () => {
        const { deleted, packed, moved } = await keeper.round(signal);
        return deleted + packed + moved === 0;
      },
      180_000,
    );
    await until(
      'uploads of bridges that were killed are given up, and farmers have confirmed all',
      async () => {
        await renter.care();
        const { unfinishedUploads, pendingDeletes } = await renter.status();
        return unfinishedUploads.length + pendingDeletes === 0;
      },
      180_000,
    );
  };
  /** What bridges that were killed have left in the network makes the same database anew. */
  const recoverCopy = async () => {
    await journal.round(signal);
    const copy = await openMetadataStore({
      database: await postgres.createDatabase(),
      masterKey: Buffer.from(MASTER_KEY, 'hex'),
    });
    try {
      const name = await metadata.journalName();
      const { lost } = await recoverMetadata(copy, backend, name, signal);
      expect(lost, `seed ${SEED}`).toEqual([]);
      for (const bucket of [PLAIN, VERSIONED]) {
        const found = await versionsOf(copy, bucket);
        expect(found, `seed ${SEED}`).toEqual(await versionsOf(metadata, bucket));
        expect(await copy.bucketUsage(bucket)).toEqual(await metadata.bucketUsage(bucket));
      }
    } finally {
      await copy.close();
    }
  };
  try {
    await work({ collect, recoverCopy, renter });
  } finally {
    await renter.close();
    await metadata.close();
  }
}

/** All versions of a bucket, whole. */
async function versionsOf(store: MetadataStore, bucket: string): Promise<unknown[]> {
  const found: unknown[] = [];
  for (let marker = {}; ;) {
    const page = await store.listVersions({ bucket, limit: 1000, ...marker });
    for (const { key, versionId } of page.versions) {
      const version = await store.version(bucket, key, versionId);
      const body = version?.body;
      const first = { partNumber: 1 };
      const parts = body?.kind === 'parts' && (await store.versionParts(body.partsId, first, 10));
      found.push({ version, parts });
    }
    if (page.next === null) return found;
    const { keyMarker, versionIdMarker } = page.next;
    marker = { keyMarker, ...(versionIdMarker !== null && { versionIdMarker }) };
  }
}

/** What farmers hold belongs to contents that versions and parts refer to, or to the renter's index. */
async function nothingIsOrphaned(renter: Renter): Promise<void> {
  const ids = async (query: string) => (await postgres.select(database, query)).sort();
  const referred = await ids(`SELECT DISTINCT encode(content, 'hex') AS id FROM extents`);
  expect(await ids(`SELECT encode(id, 'hex') AS id FROM contents`)).toEqual(referred);
  expect(await ids(`SELECT encode(content, 'hex') AS id FROM garbage`)).toEqual([]);
  expect(await ids(`SELECT encode(content, 'hex') AS id FROM released`)).toEqual([]);
  // Every body belongs to a version or a part, and the other way about.
  const owners = `SELECT body AS ref FROM versions WHERE body IS NOT NULL AND size > 0
    UNION ALL SELECT ref FROM parts WHERE size > 0`;
  const bodies = `SELECT ref FROM bodies UNION SELECT ref FROM extents`;
  expect(await ids(`SELECT encode(ref, 'hex') AS id FROM (${bodies}) AS b`)).toEqual(
    await ids(`SELECT encode(ref, 'hex') AS id FROM (${owners}) AS o`),
  );
  const names: string[] = [];
  for await (const { name } of renter.list(CONTENT_BUCKET)) names.push(name);
  expect(names.sort(), `seed ${SEED}`).toEqual(referred);
  const care = await renter.care({ auditAll: true });
  expect(care, `seed ${SEED}`).toMatchObject({ lost: 0, failures: [], indexFailure: null });
  expect(care.audits.failed, `seed ${SEED}`).toBe(0);
  await until('every farmer answers', async () => {
    const { review } = await renter.collectGarbage();
    expect(review, `seed ${SEED}`).toMatchObject({ orphans: 0, missing: 0 });
    return review.unreachable.length === 0;
  });
  const { shards, unfinishedUploads } = await renter.status();
  expect(unfinishedUploads).toEqual([]);
  const held = await Promise.all(network.farmers.map(heldBy));
  expect(
    held.reduce((sum, farmer) => sum + farmer.shards, 0),
    `seed ${SEED}`,
  ).toBe(shards);
}

/** Delete all versions, and abort all uploads. */
async function emptyBucket(s3: S3Client, Bucket: string): Promise<void> {
  for (;;) {
    const page = await s3.send(new ListObjectVersionsCommand({ Bucket }));
    const Objects = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].map(
      ({ Key, VersionId }) => ({ Key: Key!, VersionId }),
    );
    if (Objects.length === 0) break;
    const { Errors = [] } = await s3.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects } }),
    );
    expect(Errors).toEqual([]);
  }
  const { Uploads = [] } = await s3.send(new ListMultipartUploadsCommand({ Bucket }));
  for (const { Key, UploadId } of Uploads) {
    await s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
  }
}
