import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
// The renter's own tests need farmers; the layers let no other code of this package name them.
// eslint-disable-next-line no-restricted-imports
import { Farmer, type FarmerOptions } from '@granary/farmer';
import { type Clock, Identity, silentLogger, systemClock } from '@granary/kad';
import { Renter, RenterKeys, type RenterParts, type RenterSettings } from './index.js';

/** The system's clock, that can be set ahead. Timers run as they do. */
export class ShiftedClock implements Clock {
  shift = 0;
  now(): number {
    return systemClock.now() + this.shift;
  }
  setTimeout(run: () => void, ms: number): unknown {
    return systemClock.setTimeout(run, ms);
  }
  clearTimeout(handle: unknown): void {
    systemClock.clearTimeout(handle);
  }
}

/** A network of real farmers in this process, all on one clock. */
export class TestGranary {
  readonly farmers: Farmer[] = [];
  readonly clock = new ShiftedClock();
  readonly keys = RenterKeys.fromEntropy(randomBytes(32));
  private readonly renters: Renter[] = [];
  private made = 0;

  private constructor(
    readonly directory: string,
    private readonly settings: Partial<RenterSettings>,
  ) {}

  static async start(count: number, settings: Partial<RenterSettings> = {}): Promise<TestGranary> {
    const directory = await mkdtemp(join(tmpdir(), 'granary-care-'));
    const granary = new TestGranary(directory, {
      scheme: { k: 2, repair: 3, success: 4, n: 5 },
      segmentSize: 256 * 1024,
      hedgeMs: 200,
      tailMs: 300,
      ...settings,
    });
    for (let i = 0; i < count; i += 1) await granary.addFarmer();
    return granary;
  }

  async addFarmer(options: Partial<FarmerOptions> = {}): Promise<Farmer> {
    const farmer = await Farmer.open({
      directory: join(this.directory, `farmer-${(this.made += 1)}`),
      identity: Identity.generate(),
      host: '127.0.0.1',
      port: 0,
      bootstrap: this.farmers.slice(0, 1).map(({ address }) => address),
      quotaBytes: 100_000_000,
      logger: silentLogger,
      clock: this.clock,
      ...options,
    });
    this.farmers.push(farmer);
    return farmer;
  }

  /** A renter in a directory of its own name. */
  async renter(
    name = 'renter',
    settings: Partial<RenterSettings> = {},
    parts: Partial<RenterParts> = {},
  ): Promise<Renter> {
    const renter = await Renter.open({
      ...parts,
      directory: join(this.directory, name),
      keys: this.keys,
      bootstrap: [this.farmers.find((farmer) => !this.stopped.has(farmer))!.address],
      logger: silentLogger,
      clock: this.clock,
      settings: { ...this.settings, ...settings },
    });
    this.renters.push(renter);
    return renter;
  }

  private readonly stopped = new Set<Farmer>();

  /** Take a farmer away for good. */
  async remove(farmer: Farmer): Promise<void> {
    this.stopped.add(farmer);
    await farmer.stop();
  }

  farmer(nodeId: string): Farmer {
    return this.farmers.find((farmer) => farmer.contact.nodeId === nodeId)!;
  }

  /** Shard files of a farmer. */
  async shardFiles(farmer: Farmer): Promise<string[]> {
    const i = this.farmers.indexOf(farmer) + 1;
    const below = join(this.directory, `farmer-${i}`, 'shards');
    const names = await readdir(below, { recursive: true });
    return names.filter((name) => /\/[0-9a-f]{64}$/.test(name)).map((name) => join(below, name));
  }

  /** Shards held by the farmers that are up. */
  held(): number {
    return this.farmers
      .filter((farmer) => !this.stopped.has(farmer))
      .reduce((sum, farmer) => sum + farmer.stats().shards, 0);
  }

  async stop(): Promise<void> {
    await Promise.all(this.renters.map((renter) => renter.close()));
    await Promise.all(this.farmers.map((farmer) => farmer.stop()));
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Store bytes under a name in the bucket `test`. */
export function put(renter: Renter, name: string, content: Uint8Array) {
  const stream = (async function* () {
    yield await Promise.resolve(content);
  })();
  return renter.put({ bucket: 'test', name }, { kind: 'stream', stream });
}

/** Read an object of the bucket `test`. */
export async function read(renter: Renter, name: string): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of renter.get({ bucket: 'test', name })) parts.push(part);
  return Buffer.concat(parts);
}
