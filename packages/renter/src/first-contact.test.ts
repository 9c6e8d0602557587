import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  HttpsTransport,
  Identity,
  KademliaNode,
  MemoryValueStore,
  createTlsCredentials,
  silentLogger,
} from '@granary/kad';
import { TestGranary } from './care.test-support.js';
import { NetworkAccess } from './network-access.js';

let granary: TestGranary;

beforeEach(async () => {
  granary = await TestGranary.start(3, { scheme: { k: 2, repair: 3, success: 4, n: 4 } });
});
afterEach(() => granary.stop());

it('joins once, and says to whoever waited for it that it was then', async () => {
  const { address } = granary.farmers[0]!;
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
  const renter = await granary.renter();
  const stream = async function* () {
    yield await Promise.resolve(randomBytes(10_000));
  };
  const put = () => renter.put({ bucket: 'b', name: 'o' }, { kind: 'stream', stream: stream() });
  await expect(put()).rejects.toMatchObject({ code: 'RENTER_NOT_ENOUGH_FARMERS' });
  const late = await granary.addFarmer();
  await renter.farmers({ refresh: true });
  expect((await put()).shards).toBe(4);
  expect(late.stats().shards).toBe(1);
});
