import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { signContact } from './contact.js';
import { MAX_SKEW_MS, NonceCache, openEnvelope, sealEnvelope } from './envelope.js';
import { Identity } from './identity.js';
import { ManualClock } from './memory-nodes.test-support.js';

const alice = Identity.generate();
const bob = Identity.generate();
const eve = Identity.generate();
const contactOf = (identity: Identity) =>
  signContact(identity, { addresses: ['https://a.test:1'], sequence: 1 });
const envelope = {
  sender: contactOf(alice),
  recipient: bob.nodeId,
  nonce: 'ab'.repeat(16),
  kind: 'request' as const,
  time: 1_000_000,
  payload: '{"jsonrpc":"2.0"}',
};
const expected = { recipient: bob.nodeId, kind: 'request' as const, now: 1_000_500 };
const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'accepted';
};

describe('envelopes', () => {
  const sealed = sealEnvelope(alice, envelope);

  it('open for their recipient', () => {
    expect(openEnvelope(sealed, expected)).toEqual(envelope);
  });

  it('are refused when they are not what was expected', () => {
    const open = (bytes: Uint8Array, change: object) =>
      codeOf(() => openEnvelope(bytes, { ...expected, ...change }));
    expect(open(sealed, {})).toBe('accepted');
    expect(open(sealed, { recipient: eve.nodeId })).toBe('KAD_MISADDRESSED');
    expect(open(sealed, { now: envelope.time + MAX_SKEW_MS + 1 })).toBe('KAD_STALE');
    expect(open(sealed, { now: envelope.time - MAX_SKEW_MS - 1 })).toBe('KAD_STALE');
    expect(open(sealed, { now: envelope.time + MAX_SKEW_MS })).toBe('accepted');
    expect(open(sealed, { kind: 'response' })).toBe('KAD_MALFORMED');
    expect(open(sealed, { nonce: 'cd'.repeat(16) })).toBe('KAD_MALFORMED');
    expect(open(sealed, { sender: eve.nodeId })).toBe('KAD_IDENTITY_MISMATCH');
    expect(open(sealEnvelope(eve, envelope), {})).toBe('KAD_BAD_SIGNATURE');
    expect(open(sealed.subarray(128), {})).toBe('KAD_UNSIGNED');
    expect(open(new Uint8Array(0), {})).toBe('KAD_UNSIGNED');
    expect(open(new Uint8Array(300_000), {})).toBe('KAD_TOO_LARGE');
    expect(open(Buffer.from(`${'a'.repeat(128)}nonsense`), {})).toBe('KAD_MALFORMED');
    expect(open(Buffer.from(`${'a'.repeat(128)}null`), {})).toBe('KAD_MALFORMED');
  });

  it('are refused after any change of any byte', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: sealed.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, mask) => {
          const forged = Uint8Array.from(sealed);
          forged[at]! ^= mask;
          expect(codeOf(() => openEnvelope(forged, expected))).toMatch(/^KAD_/);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('the nonce cache', () => {
  it('refuses a nonce for as long as its message could be replayed', () => {
    const clock = new ManualClock();
    const cache = new NonceCache(clock);
    cache.take('a', '1');
    cache.take('b', '1');
    expect(codeOf(() => cache.take('a', '1'))).toBe('KAD_REPLAYED');
    clock.advance(2 * MAX_SKEW_MS);
    expect(codeOf(() => cache.take('a', '1'))).toBe('KAD_REPLAYED');
    clock.advance(1);
    expect(codeOf(() => cache.take('a', '1'))).toBe('KAD_REPLAYED');
  });

  it('is bounded', () => {
    const cache = new NonceCache(new ManualClock(), 3);
    for (const nonce of ['1', '2', '3']) cache.take('a', nonce);
    expect(codeOf(() => cache.take('a', '4'))).toBe('KAD_BUSY');
  });
});
