import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Farmer } from '@granary/farmer';
import { Identity, PeerWatch, silentLogger, systemClock } from '@granary/kad';
import { FARMER_FIELDS, NETWORK_FIELDS, stateSchema } from '@granary/web';
import { FarmerSource } from './farmer-source.js';
import { NetworkSource } from './network-source.js';

let directory: string;
const farmers: Farmer[] = [];
const watch = new PeerWatch();

async function startFarmer(port = 0, identity = Identity.generate()): Promise<Farmer> {
  const farmer = await Farmer.open({
    directory: join(directory, `farmer-${identity.nodeId.slice(0, 8)}`),
    identity,
    host: '127.0.0.1',
    port,
    bootstrap: farmers.slice(0, 1).map(({ address }) => address),
    quotaBytes: 1_000_000,
    logger: silentLogger,
    plugins: farmers.length === 1 ? [watch] : [],
  });
  farmers.push(farmer);
  return farmer;
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-sources-'));
});
afterEach(async () => {
  await Promise.all(farmers.splice(0).map((farmer) => farmer.stop()));
  await rm(directory, { recursive: true, force: true });
});

/** Look until something is so. */
async function until<T>(look: () => Promise<T>, check: (seen: T) => boolean): Promise<T> {
  for (;;) {
    const seen = await look();
    if (check(seen)) return seen;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

it('a farmer shows what it has, whom it knows, and who is gone', async () => {
  const first = await startFarmer();
  const second = await startFarmer();
  const source = new FarmerSource(second, watch, systemClock, silentLogger);
  try {
    const look = async () => {
      const state = stateSchema.parse(await source.state());
      return state.kind === 'farmer' ? state : expect.unreachable();
    };
    const state = await look();
    expect(state.figures).toMatchObject({ quotaBytes: 1_000_000, shards: 0, peers: 1 });
    expect(state.contracts).toMatchObject({ renters: 0, endInDay: 0 });
    expect(state.money).toEqual({ direction: 'earned', accounts: [], days: [] });
    expect(state.neighbourhood).toMatchObject({ nodeId: second.contact.nodeId, known: 1 });
    expect(state.neighbourhood.peers).toMatchObject([
      { nodeId: first.contact.nodeId, state: 'alive', address: first.address },
    ]);
    expect(state.neighbourhood.peers[0]!.rttMs).toBeGreaterThanOrEqual(0);
    expect(source.sample()).toHaveLength(FARMER_FIELDS.length);
    await first.stop();
    const later = await until(look, ({ neighbourhood }) => neighbourhood.known === 0);
    const [gone] = later.neighbourhood.peers;
    expect(gone).toMatchObject({ nodeId: first.contact.nodeId });
    // It said goodbye; a ping that was under way may have found out first.
    expect(['left', 'silent']).toContain(gone!.state);
  } finally {
    await source.close();
  }
}, 60_000);

it('a network shows each farmer, who is gone, and who is back or is not whom one thinks', async () => {
  const identity = Identity.generate();
  const first = await startFarmer(0, identity);
  const second = await startFarmer();
  const { port } = first.stats();
  const member = (farmer: Farmer, index: number) => ({
    index,
    nodeId: farmer.contact.nodeId,
    address: farmer.address,
    pid: 4000 + index,
  });
  const impostor = { ...member(second, 3), nodeId: Identity.generate().nodeId };
  const source = new NetworkSource(
    [member(first, 1), member(second, 2), impostor],
    { home: '/home', directory: '/dir' },
    systemClock,
  );
  try {
    const look = async () => {
      const state = stateSchema.parse(await source.state());
      return state.kind === 'network' ? state.farmers : expect.unreachable();
    };
    const states = (seen: Awaited<ReturnType<typeof look>>) =>
      seen.map(({ state }) => state).join();
    const seen = await until(look, (all) => states(all) === 'running,running,silent');
    expect(seen[0]!.figures).toMatchObject({ nodeId: identity.nodeId, quotaBytes: 1_000_000 });
    expect(seen[2]!.figures).toBeNull();
    expect(source.sample()).toHaveLength(NETWORK_FIELDS.length);
    expect(source.sample().at(-1)).toBe(2);
    await first.stop();
    source.ended(identity.nodeId, 'SIGKILL');
    const [gone] = await look();
    expect(gone).toMatchObject({ state: 'gone', ended: 'SIGKILL', pid: null });
    // Somebody starts it again at its place.
    farmers.splice(0, 1);
    await startFarmer(port, identity);
    const [back] = await until(look, (all) => all[0]!.state === 'running');
    expect(back).toMatchObject({ ended: null, pid: null });
  } finally {
    await source.close();
  }
}, 60_000);
