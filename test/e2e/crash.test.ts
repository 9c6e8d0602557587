import { createHash, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { silentLogger } from '@granary/kad';
import { Renter, defaultReputationSettings, loadKeyFile } from '@granary/renter';
import { setUpAnewForRetries } from './support/anew.js';
import { type HeldShards, TestNetwork, granary, heldBy, kill, until } from './support/granary.js';
import { seeded } from './support/seeded.js';

/** Processes killed in one run; GRANARY_CRASHES sets another number. */
const CRASHES = Number(process.env['GRANARY_CRASHES'] ?? 40);
/** What is done and when is drawn from this; GRANARY_SEED sets another. */
const SEED = Number(process.env['GRANARY_SEED'] ?? 1);
/** Crashes between two looks at everything. */
const CHECK_EVERY = 15;
const SCHEME = ['--scheme', '2/4/5/6'];

const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

let network: TestNetwork;
let renter: Renter | undefined;

async function setUp(): Promise<void> {
  network = await TestNetwork.start(9);
  renter = await Renter.open({
    directory: join(network.home, 'store'),
    keys: await loadKeyFile(join(network.home, 'keys.json'), undefined),
    bootstrap: network.farmers.map(({ address }) => address),
    logger: silentLogger,
    settings: { reputation: { ...defaultReputationSettings, offlineMs: 500 }, hedgeMs: 200 },
  });
}
async function tearDown(): Promise<void> {
  await renter?.close();
  renter = undefined;
  await network?.stop();
}
setUpAnewForRetries(setUp, tearDown);

/** What `name` may be: hashes of contents, or undefined for nothing. */
type Allowed = Set<string | undefined>;

it(
  `loses nothing and leaves nothing behind when ${CRASHES} processes are killed at random moments`,
  async () => {
    process.stderr.write(`crash test: GRANARY_SEED=${SEED} GRANARY_CRASHES=${CRASHES}\n`);
    const random = seeded(SEED);
    const below = (n: number) => Math.floor(random() * n);
    const allowed = new Map<string, Allowed>();
    const counts = { renter: 0, farmer: 0, finished: 0, interrupted: 0 };

    const crashing = async (args: readonly string[]): Promise<boolean> => {
      const delay = 50 + below(1000);
      const victim = random();
      const farmer = network.farmers[below(network.farmers.length)]!;
      const { code, signal } = await granary(args, {
        home: network.home,
        onStart: (child) => {
          const timer = setTimeout(() => {
            if (victim < 0.7) child.kill('SIGKILL');
            else farmer.child.kill('SIGKILL');
          }, delay);
          child.once('exit', () => clearTimeout(timer));
        },
      });
      if (signal === 'SIGKILL') counts.renter += 1;
      await reviveAll(counts);
      if (code === 0) counts.finished += 1;
      else counts.interrupted += 1;
      return code === 0;
    };

    const step = async (): Promise<void> => {
      const name = `object-${below(6)}`;
      const states = allowed.get(name) ?? new Set([undefined]);
      allowed.set(name, states);
      const kind = random();
      if (kind < 0.55) {
        const file = join(network.directory, 'source.bin');
        const content = randomBytes(1 + below(3_000_000));
        await writeFile(file, content);
        const done = await crashing(['put', file, `crash/${name}`, ...SCHEME]);
        if (done) states.clear();
        states.add(sha(content));
      } else if (kind < 0.75) {
        const done = await crashing(['rm', `crash/${name}`]);
        // "Not found" and "not all farmers reached" are answers, too: what is there is looked at.
        if (done) states.clear();
        states.add(undefined);
      } else if (kind < 0.9) {
        await crashing(['repair', '--once', '--audit-all', '--offline-after', '100ms']);
      } else if (kind < 0.95) {
        await crashing(['gc']);
      } else {
        // A farmer leaves, and its shards are taken over, while processes die.
        const leaver = network.farmers[below(network.farmers.length)]!;
        await kill(leaver);
        await network.restart(leaver, ['--leave']);
        await crashing(['repair', '--once', '--offline-after', '100ms']);
        await kill(leaver);
        await network.restart(leaver, ['--stay']);
      }
    };

    for (let checked = 0; counts.renter + counts.farmer < CRASHES;) {
      await step();
      if (counts.renter + counts.farmer < checked + CHECK_EVERY) continue;
      checked = counts.renter + counts.farmer;
      await checkEverything(allowed);
    }
    await checkEverything(allowed);
    process.stderr.write(`crash test: ${JSON.stringify(counts)}\n`);
    expect(counts.renter).toBeGreaterThan(0);
    expect(counts.farmer).toBeGreaterThan(0);
  },
  60 * 60_000,
);

async function reviveAll(counts: { farmer: number }): Promise<void> {
  for (const farmer of network.farmers) {
    if (farmer.child.exitCode === null && farmer.child.signalCode === null) continue;
    // One that was leaving may have ended by itself.
    if (farmer.child.signalCode === 'SIGKILL') counts.farmer += 1;
    await network.restart(farmer);
  }
}

/** Every object is one of those it may be, and farmers hold what the manifests account for, no more. */
async function checkEverything(allowed: Map<string, Allowed>): Promise<void> {
  for (const [name, states] of allowed) {
    const got = await contentHash(name);
    expect(states, `${name} (seed ${SEED})`).toContain(got);
    // What it is from now on is known.
    states.clear();
    states.add(got);
  }
  await until('every farmer answers and nothing is left to delete', async () => {
    const { pending, review } = await renter!.collectGarbage({ unfinished: true });
    return pending.length === 0 && review.unreachable.length === 0;
  });
  const care = await renter!.care({ auditAll: true });
  expect(care, `seed ${SEED}`).toMatchObject({ lost: 0, failures: [], indexFailure: null });
  expect(care.audits.failed, `seed ${SEED}`).toBe(0);
  let listed = 0;
  await until('every farmer answers', async () => {
    const { review } = await renter!.collectGarbage();
    expect(review, `seed ${SEED}`).toMatchObject({ orphans: 0, missing: 0 });
    ({ listed } = review);
    return review.unreachable.length === 0;
  });
  const { shards, storedBytes } = await renter!.status();
  const stats = await Promise.all(network.farmers.map(heldBy));
  const sum = (pick: (s: HeldShards) => number) => stats.reduce((total, s) => total + pick(s), 0);
  expect(
    sum((s) => s.shards),
    `seed ${SEED}`,
  ).toBe(shards);
  expect(listed).toBe(shards);
  expect(
    sum((s) => s.bytes),
    `seed ${SEED}`,
  ).toBe(storedBytes);
}

async function contentHash(name: string): Promise<string | undefined> {
  const file = join(network.directory, 'out.bin');
  const { code, stderr } = await granary(['get', `crash/${name}`, file, '--force'], {
    home: network.home,
  });
  if (code === 3) return undefined;
  if (code !== 0) throw new Error(`${name} can't be read (seed ${SEED}): ${stderr}`);
  return sha(await readFile(file));
}
