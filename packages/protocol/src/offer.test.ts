import { Identity, signContact } from '@granary/kad';
import { describe, expect, it } from 'vitest';
import {
  MAX_OFFER_MS,
  encodeOffer,
  encodeOfferAnswer,
  parseOffer,
  parseOfferAnswer,
} from './offer.js';

const relay = signContact(Identity.generate(), { addresses: ['https://a.test:1'], sequence: 1 });
const offer = {
  version: 1 as const,
  id: 'ab'.repeat(16),
  renter: 'cd'.repeat(32),
  shardSize: 4096,
  durationMs: 1000,
  maxStoragePrice: '5',
  maxEgressPrice: null,
  share: 0.5,
  expires: 2000,
  relays: [relay],
};
const parse = (value: unknown, publisher = offer.renter, now = 1000) =>
  parseOffer(Buffer.from(JSON.stringify(value)), publisher, now);

describe('an offer', () => {
  it('is read as it was written', () => {
    expect(parseOffer(encodeOffer(offer), offer.renter, 1000)).toEqual(offer);
  });

  it('is that of its publisher', () => {
    expect(() => parse(offer, 'ef'.repeat(32))).toThrow(/another renter/);
  });

  it('expires, and does not end too late', () => {
    expect(() => parse(offer, offer.renter, 2000)).toThrow(/expired/);
    expect(() => parse({ ...offer, expires: 1001 + MAX_OFFER_MS })).toThrow(/expired/);
  });

  it.each([
    ['share', 0],
    ['share', 1.1],
    ['shardSize', -1],
    ['maxStoragePrice', '1.5'],
    ['relays', [{ ...relay, sequence: 2 }]],
    ['relays', [relay, relay, relay, relay]],
    ['id', 'x'],
    ['more', 1],
  ])('with a wrong %s is refused', (name, value) => {
    expect(() => parse({ ...offer, [name]: value })).toThrow(/offer/);
    expect(() => parseOffer(Buffer.from('{'), offer.renter, 1000)).toThrow(/not JSON/);
  });
});

describe('an answer to an offer', () => {
  const terms = {
    version: 1 as const,
    freeBytes: 1,
    maxShardSize: 1,
    maxDurationMs: 1,
    currency: 'credit',
    storagePrice: '0',
    egressPrice: '0',
    operator: null,
    leaving: false,
  };

  it('is read as it was written', () => {
    const answer = { offer: offer.id, terms };
    expect(parseOfferAnswer(encodeOfferAnswer(answer))).toMatchObject(answer);
  });

  it('of another form is refused', () => {
    for (const text of ['{', '{}', JSON.stringify({ offer: offer.id, terms: {} })]) {
      expect(() => parseOfferAnswer(text)).toThrow(/answer|terms/);
    }
  });
});
