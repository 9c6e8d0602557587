import { Identity, signContact } from '@granary/kad';
import { afterEach, describe, expect, it } from 'vitest';
import { TestGranary } from './care.test-support.js';
import { estimateNodes } from './offer-round.js';

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

describe('the estimate of the size of a network', () => {
  it('is near the truth, and never below what is known', () => {
    const contacts = Array.from({ length: 2000 }, () =>
      signContact(Identity.generate(), { addresses: [], sequence: 1 }),
    );
    const own = contacts[0]!.nodeId;
    const big = (id: string) => BigInt(`0x${id}`) ^ BigInt(`0x${own}`);
    const nearest = contacts
      .slice(1)
      .sort((a, b) => (big(a.nodeId) < big(b.nodeId) ? -1 : 1))
      .slice(0, 20);
    // The 20th nearest is at 20/2000 of the space, give or take: a factor of 4 is beyond six sigma.
    expect(estimateNodes(own, nearest)).toBeGreaterThan(500);
    expect(estimateNodes(own, nearest)).toBeLessThan(8000);
    expect(estimateNodes(own, contacts.slice(1, 4))).toBeGreaterThanOrEqual(3);
    expect(estimateNodes(own, [])).toBe(0);
  });
});
