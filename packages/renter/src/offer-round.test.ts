import { afterEach, describe, expect, it } from 'vitest';
import { TestGranary } from './care.test-support.js';

let granary: TestGranary | undefined;
afterEach(async () => {
  await granary?.stop();
  granary = undefined;
});

describe('an offer to all farmers', () => {
  it('is answered by those that it suits, though the renter has no address', async () => {
    granary = await TestGranary.start(4, { offers: 'always', maxStoragePrice: 5n });
    const dear = await granary.addFarmer({ policy: { storagePrice: '6', egressPrice: '0' } });
    const renter = await granary.renter();
    const answers = await renter.makeOffer();
    const ids = answers.map(({ nodeId }) => nodeId).sort();
    const cheap = granary.farmers
      .filter((farmer) => farmer !== dear)
      .map(({ contact }) => contact.nodeId);
    expect(ids).toEqual(cheap.sort());
  }, 60_000);
});
