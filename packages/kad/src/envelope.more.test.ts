import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Clock } from './clock.js';
import { signContact } from './contact.js';
import {
  type Envelope,
  type Expectation,
  MAX_MESSAGE_SIZE,
  MAX_SKEW_MS,
  NonceCache,
  openEnvelope,
  sealEnvelope,
} from './envelope.js';
import { Identity } from './identity.js';
import { RemoteError, encodeError, parseRequest, parseResponse } from './json-rpc.js';
import { sha256 } from './sha256.js';

const NOW = 1_700_000_000_000;
const sender = Identity.generate();
const recipient = Identity.generate();
const stranger = Identity.generate();

const envelope: Envelope = {
  sender: signContact(sender, { addresses: ['https://127.0.0.1:4000'], sequence: 1 }),
  recipient: recipient.nodeId,
  nonce: '00112233445566778899aabbccddeeff',
  kind: 'request',
  time: NOW,
  payload: '{"jsonrpc":"2.0"}',
};
const expectation: Expectation = { recipient: recipient.nodeId, kind: 'request', now: NOW };
const sealed = sealEnvelope(sender, envelope);

function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return (error as { code?: unknown }).code ?? error;
  }
  return 'nothing was thrown';
}

/** Sign any JSON as if it were an envelope. */
function signAny(value: unknown, identity = sender): Uint8Array {
  const signed = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
  const digest = sha256(Buffer.concat([Buffer.from('granary/1 envelope\0'), signed]));
  return Buffer.concat([Buffer.from(Buffer.from(identity.sign(digest)).toString('hex')), signed]);
}

const open = (bytes: Uint8Array, more: Partial<Expectation> = {}) =>
  codeOf(() => openEnvelope(bytes, { ...expectation, ...more }));

describe('an envelope', () => {
  it('comes back as it was, for any payload', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2000 }), (payload) => {
        const bytes = sealEnvelope(sender, { ...envelope, payload });
        expect(openEnvelope(bytes, expectation)).toEqual({ ...envelope, payload });
      }),
      { numRuns: 100 },
    );
  });

  it('is taken from a view into a larger buffer', () => {
    const large = Buffer.concat([Buffer.alloc(13, 1), sealed, Buffer.alloc(9, 1)]);
    const view = new Uint8Array(large.buffer, large.byteOffset + 13, sealed.length);
    expect(openEnvelope(view, expectation)).toEqual(envelope);
  });

  it('is refused with any one byte changed, cut or added', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: sealed.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        fc.constantFrom('change', 'cut', 'add'),
        (at, flip, how) => {
          let bytes = Buffer.from(sealed);
          if (how === 'change') bytes[at]! ^= flip;
          else if (how === 'cut') bytes = bytes.subarray(0, at);
          else bytes = Buffer.concat([bytes, Buffer.from([flip])]);
          expect(open(bytes)).toMatch(/^KAD_/);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('is refused when it is too large, before anything is read', () => {
    expect(open(new Uint8Array(MAX_MESSAGE_SIZE + 1))).toBe('KAD_TOO_LARGE');
  });

  it('is refused without a signature', () => {
    expect(open(new Uint8Array(0))).toBe('KAD_UNSIGNED');
    expect(open(sealed.subarray(128))).toBe('KAD_UNSIGNED');
    expect(open(Buffer.from(JSON.stringify(envelope)))).toBe('KAD_UNSIGNED');
  });

  it('is refused with a signature by anybody but its sender', () => {
    expect(open(sealEnvelope(stranger, envelope))).toBe('KAD_BAD_SIGNATURE');
  });

  it('is refused with a signature for another purpose', () => {
    const signed = Buffer.from(JSON.stringify(envelope));
    const signature = Buffer.from(sender.sign(sha256(signed))).toString('hex');
    expect(open(Buffer.concat([Buffer.from(signature), signed]))).toBe('KAD_BAD_SIGNATURE');
  });

  it('is refused with a contact that another signed', () => {
    const forged = { ...envelope.sender, signature: 'ab'.repeat(64) };
    expect(open(signAny({ ...envelope, sender: forged }))).toBe('KAD_BAD_SIGNATURE');
  });

  it('is refused when it is for somebody else', () => {
    expect(open(sealEnvelope(sender, { ...envelope, recipient: stranger.nodeId }))).toBe(
      'KAD_MISADDRESSED',
    );
  });

  it('is refused outside the skew, on both sides, and taken at its edge', () => {
    for (const side of [-1, 1]) {
      expect(open(sealed, { now: NOW + side * MAX_SKEW_MS })).toBe('nothing was thrown');
      expect(open(sealed, { now: NOW + side * (MAX_SKEW_MS + 1) })).toBe('KAD_STALE');
    }
  });

  it('is refused when the connection belongs to another node', () => {
    expect(open(sealed, { sender: sender.nodeId })).toBe('nothing was thrown');
    expect(open(sealed, { sender: stranger.nodeId })).toBe('KAD_IDENTITY_MISMATCH');
  });

  it('is refused as an answer to another request', () => {
    const answer = sealEnvelope(sender, { ...envelope, kind: 'response' });
    const { nonce } = envelope;
    expect(open(answer, { kind: 'response', nonce })).toBe('nothing was thrown');
    expect(open(answer, { kind: 'response', nonce: 'f'.repeat(32) })).toBe('KAD_MALFORMED');
  });

  it('is refused when a request comes back as the answer to itself', () => {
    expect(open(sealed, { kind: 'response', nonce: envelope.nonce })).toBe('KAD_MALFORMED');
    expect(open(sealEnvelope(sender, { ...envelope, kind: 'response' }))).toBe('KAD_MALFORMED');
  });

  it.each<[string, unknown]>([
    ['no JSON', '{"sender":'],
    ['null', 'null'],
    ['a number', '1'],
    ['a list', []],
    ['no recipient', { ...envelope, recipient: undefined }],
    ['a recipient in a list', { ...envelope, recipient: [envelope.recipient] }],
    ['a short nonce', { ...envelope, nonce: '00' }],
    ['a nonce that is a number', { ...envelope, nonce: 1 }],
    ['another kind', { ...envelope, kind: 'publication' }],
    ['a time in text', { ...envelope, time: String(NOW) }],
    ['no time', { ...envelope, time: null }],
    ['a time with a fraction', { ...envelope, time: NOW + 0.5 }],
    ['a payload that is not text', { ...envelope, payload: {} }],
    ['no sender', { ...envelope, sender: undefined }],
    ['a sender that is text', { ...envelope, sender: sender.nodeId }],
  ])('is malformed with %s, though it is signed', (_name, value) => {
    expect(open(signAny(value))).toBe('KAD_MALFORMED');
  });

  it('takes JSON that is a hundred thousand deep for what it is', () => {
    expect(open(signAny('['.repeat(100_000) + ']'.repeat(100_000)))).toMatch(/^KAD_/);
    expect(open(signAny('{"a":'.repeat(40_000)))).toBe('KAD_MALFORMED');
  });

  it('throws nothing but typed errors for any signed JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(open(signAny(value as object))).toMatch(/^KAD_/);
      }),
      { numRuns: 200 },
    );
  });
});

describe('the nonce cache', () => {
  class HandClock implements Clock {
    time = NOW;
    now = () => this.time;
    setTimeout = () => undefined;
    clearTimeout = () => undefined;
  }

  it('refuses what it saw, for each sender on its own', () => {
    const cache = new NonceCache(new HandClock());
    cache.take('a', '1');
    cache.take('b', '1');
    cache.take('a', '2');
    expect(codeOf(() => cache.take('a', '1'))).toBe('KAD_REPLAYED');
    expect(codeOf(() => cache.take('b', '1'))).toBe('KAD_REPLAYED');
  });

  it('never forgets a nonce while its message would still be taken', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 40_000 }), { minLength: 1, maxLength: 20 }),
        fc.nat({ max: 2 * MAX_SKEW_MS }),
        (steps, later) => {
          const clock = new HandClock();
          const cache = new NonceCache(clock);
          steps.forEach((step, i) => {
            clock.time += step;
            cache.take('a', `warm ${i}`);
          });
          cache.take('a', 'it');
          // Traffic in between makes the cache turn over when it wants to.
          const start = clock.time;
          for (const part of [0.2, 0.5, 0.8]) {
            clock.time = start + later * part;
            cache.take('b', `${part}`);
          }
          clock.time = start + later;
          expect(codeOf(() => cache.take('a', 'it'))).toBe('KAD_REPLAYED');
        },
      ),
      { numRuns: 200 },
    );
  });

  it('forgets in the end, so that it does not grow', () => {
    const clock = new HandClock();
    const cache = new NonceCache(clock);
    cache.take('a', '1');
    for (let i = 0; i < 3; i += 1) {
      clock.time += 2 * MAX_SKEW_MS + 1;
      cache.take('b', `${i}`);
    }
    expect(codeOf(() => cache.take('a', '1'))).toBe('nothing was thrown');
  });

  it('is bounded: it refuses what it could not remember', () => {
    const clock = new HandClock();
    const cache = new NonceCache(clock, 3);
    for (const nonce of ['1', '2', '3']) cache.take('a', nonce);
    expect(codeOf(() => cache.take('a', '4'))).toBe('KAD_BUSY');
    expect(codeOf(() => cache.take('a', '3'))).toBe('KAD_REPLAYED');
    clock.time += 2 * MAX_SKEW_MS + 1;
    expect(codeOf(() => cache.take('a', '4'))).toBe('nothing was thrown');
  });
});

describe('JSON-RPC', () => {
  const request = { jsonrpc: '2.0', method: 'PING', params: {}, id: '1' };

  it.each<[string, unknown]>([
    ['another version', { ...request, jsonrpc: '1.0' }],
    ['a batch', [request]],
    ['null', null],
    ['no method', { ...request, method: undefined }],
    ['a method in small letters', { ...request, method: 'ping' }],
    ['a method from the prototype', { ...request, method: '__proto__' }],
    ['an endless method', { ...request, method: 'P'.repeat(65) }],
    ['no id', { ...request, id: undefined }],
    ['an endless id', { ...request, id: 'x'.repeat(65) }],
    ['a number for an id', { ...request, id: 1 }],
  ])('refuses a request with %s', (_name, value) => {
    expect(codeOf(() => parseRequest(JSON.stringify(value)))).toBe('KAD_MALFORMED');
  });

  it('refuses an answer to another question, and one that answers nothing', () => {
    const answer = { jsonrpc: '2.0', id: '1', result: {} };
    expect(parseResponse(JSON.stringify(answer), '1')).toEqual({});
    expect(codeOf(() => parseResponse(JSON.stringify(answer), '2'))).toBe('KAD_MALFORMED');
    expect(codeOf(() => parseResponse('{"jsonrpc":"2.0","id":"1"}', '1'))).toBe('KAD_MALFORMED');
  });

  it("carries an error's code and cuts a long message", () => {
    const text = encodeError('1', 'FARMER_NO_SPACE', 'x'.repeat(10_000));
    const { error } = JSON.parse(text) as { error: { message: string; data: unknown } };
    expect(error.data).toEqual({ code: 'FARMER_NO_SPACE' });
    expect(error.message).toHaveLength(512);
    expect(() => parseResponse(text, '1')).toThrow(RemoteError);
    expect(codeOf(() => parseResponse(text, '1'))).toBe('KAD_REMOTE');
  });

  it('does not let a peer pass its answer off as a failure of ours', () => {
    for (const code of ['KAD_UNREACHABLE', 'KAD_TIMEOUT', 'KAD_ABORTED', 'KAD_STOPPED']) {
      const text = encodeError('1', code, 'a lie');
      expect(codeOf(() => parseResponse(text, '1'))).toBe('KAD_REMOTE');
    }
  });
});
