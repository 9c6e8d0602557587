import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
// The renter's own tests need farmers; the layers let no other code of this package name them.
// eslint-disable-next-line no-restricted-imports
import { Farmer } from '@granary/farmer';
import {
  HttpsTransport,
  Identity,
  KademliaNode,
  MemoryValueStore,
  createTlsCredentials,
  silentLogger,
} from '@granary/kad';
import { Renter, RenterKeys } from './index.js';
import { NetworkAccess } from './network-access.js';

let directory: string;
const farmers: Farmer[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-contact-'));
});
afterEach(async () => {
  for (const farmer of farmers.splice(0)) await farmer.stop();
  await rm(directory, { recursive: true, force: true });
});

async function startFarmer(): Promise<Farmer> {
  const farmer = await Farmer.open({
    directory: join(directory, `farmer-${farmers.length}`),
    identity: Identity.generate(),
    host: '127.0.0.1',
    port: 0,
    bootstrap: farmers.slice(0, 1).map(({ address }) => address),
    quotaBytes: 100_000_000,
    logger: silentLogger,
  });
  farmers.push(farmer);
  return farmer;
}

it('joins once, and says to whoever waited for it that it was then', async () => {
  const { address } = await startFarmer();
  const identity = Identity.generate();
  const transport = new HttpsTransport({ credentials: await createTlsCredentials(identity) });
  const node = new KademliaNode({ identity, transport, storage: new MemoryValueStore() });
  await node.start();
  const nobody = () => Promise.resolve([]);
  const access = new NetworkAccess(node, [address], nobody, silentLogger, () => true);
  expect(await Promise.all([access.join(), access.join()])).toEqual([true, true]);
  expect(await access.join()).toBe(false);
  await access.rejoin();
  expect(await access.join()).toBe(false);
  await node.stop();
});

it('stores at farmers that came after it had joined a network of few', async () => {
  for (let i = 0; i < 3; i += 1) await startFarmer();
  const renter = await Renter.open({
    directory: join(directory, 'renter'),
    keys: RenterKeys.fromEntropy(randomBytes(32)),
    bootstrap: [farmers[0]!.address],
    logger: silentLogger,
    settings: { scheme: { k: 2, repair: 3, success: 4, n: 4 } },
  });
  try {
    const stream = async function* () {
      yield await Promise.resolve(randomBytes(10_000));
    };
    const put = () => renter.put({ bucket: 'b', name: 'o' }, { kind: 'stream', stream: stream() });
    await expect(put()).rejects.toMatchObject({ code: 'RENTER_NOT_ENOUGH_FARMERS' });
    const late = await startFarmer();
    await renter.farmers({ refresh: true });
    expect((await put()).shards).toBe(4);
    expect(late.stats().shards).toBe(1);
  } finally {
    await renter.close();
  }
});
