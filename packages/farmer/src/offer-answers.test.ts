import { Identity, signContact } from '@granary/kad';
import { describe, expect, it } from 'vitest';
import { isAsked, suits } from './offer-answers.js';

const relays = [signContact(Identity.generate(), { addresses: [], sequence: 1 })];
const offer = {
  version: 1 as const,
  id: 'ab'.repeat(16),
  renter: 'cd'.repeat(32),
  shardSize: 100,
  durationMs: 1000,
  maxStoragePrice: '5',
  maxEgressPrice: null,
  share: 1,
  expires: 1,
  relays,
};
const terms = {
  version: 1 as const,
  freeBytes: 100,
  maxShardSize: 100,
  maxDurationMs: 1000,
  currency: 'credit',
  storagePrice: '5',
  egressPrice: '1000',
  operator: null,
  leaving: false,
} as Parameters<typeof suits>[1];

describe('whether an offer suits', () => {
  it('goes by room, size, time and prices', () => {
    expect(suits(offer, terms)).toBe(true);
    for (const change of [
      { freeBytes: 99 },
      { maxShardSize: 99 },
      { maxDurationMs: 999 },
      { storagePrice: '6' },
      { leaving: true },
    ]) {
      expect(suits(offer, { ...terms, ...change })).toBe(false);
    }
    expect(suits({ ...offer, maxEgressPrice: '999' }, terms)).toBe(false);
  });
});

describe('the share of farmers that an offer asks', () => {
  it('is about what it says, and of other farmers each time', () => {
    const farmers = Array.from({ length: 2000 }, (_, i) => i.toString(16).padStart(64, '0'));
    const asked = (id: string, share: number) => farmers.filter((f) => isAsked({ id, share }, f));
    const a = asked('aa'.repeat(16), 0.1);
    const b = asked('bb'.repeat(16), 0.1);
    // 200 of 2000: six standard deviations are 80.
    for (const { length } of [a, b]) expect(Math.abs(length - 200)).toBeLessThan(80);
    expect(a.filter((farmer) => b.includes(farmer)).length).toBeLessThan(60);
    expect(asked('aa'.repeat(16), 1)).toHaveLength(2000);
  });
});
