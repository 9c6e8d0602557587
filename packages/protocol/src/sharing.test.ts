import { Identity, KadError, systemRandom } from '@granary/kad';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from './errors.js';
import { fromHex, toHex } from './hex.js';
import {
  MAX_GRANT_LIFETIME,
  type ReadGrantBody,
  parseReadGrant,
  parseRevocation,
  readerOf,
  signReadGrant,
} from './read-grant.js';
import { formatShareLink, isShareLink, parseShareLink } from './share-link.js';
import {
  MAX_SHARE_PAGES,
  parseShareQuery,
  parseShareRecord,
  shareKeyOf,
  signShareRecord,
} from './share-record.js';
import { signToken } from './token.js';

const renter = Identity.generate();
const reader = Identity.generate();
const other = Identity.generate();
const parties = (identity: Identity) => ({
  renter: identity.nodeId,
  renterKey: toHex(identity.publicKey),
});
const contract = 'ab'.repeat(32);
const now = 1_000_000;
const body: ReadGrantBody = {
  contract,
  ...readerOf(reader),
  expires: now + 1000,
  limit: 5000,
};
const expected = { renter: parties(renter), contract, reader: reader.nodeId, now };
const overTheWire = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
const codeOf = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    return error instanceof ProtocolError ? error.code : error;
  }
  return 'nothing was thrown';
};

describe('read grants', () => {
  const grant = signReadGrant(renter, body);

  it('are good for the reader and the contract that they name, until they end', () => {
    expect(parseReadGrant(overTheWire(grant), expected)).toEqual(grant);
    const at = (time: number) => () => parseReadGrant(grant, { ...expected, now: time });
    expect(codeOf(at(body.expires))).toBe('PROTOCOL_EXPIRED');
    expect(codeOf(at(body.expires - 1))).toBe('nothing was thrown');
    expect(codeOf(at(body.expires - MAX_GRANT_LIFETIME - 1))).toBe('PROTOCOL_EXPIRED');
  });

  it('are good for nobody and nothing else', () => {
    for (const change of [
      { reader: other.nodeId },
      { contract: 'cd'.repeat(32) },
      { renter: parties(other) },
      { renter: parties(reader) },
      { renter: { ...parties(renter), renterKey: toHex(other.publicKey) } },
    ]) {
      expect(codeOf(() => parseReadGrant(grant, { ...expected, ...change }))).toBe(
        'PROTOCOL_BAD_SIGNATURE',
      );
    }
    // By the reader itself, for itself.
    const forged = signReadGrant(reader, body);
    expect(codeOf(() => parseReadGrant(forged, expected))).toBe('PROTOCOL_BAD_SIGNATURE');
  });

  it('do not survive a change of any field, and no signature on another document is one', () => {
    const changes = fc.oneof(
      fc.record({ limit: fc.integer({ min: 0, max: 2 ** 50 }) }),
      fc.record({ expires: fc.integer({ min: now + 1, max: now + MAX_GRANT_LIFETIME }) }),
      fc.constant({ readerKey: toHex(other.publicKey) }),
    );
    fc.assert(
      fc.property(changes, (change) => {
        const altered = { ...body, ...change };
        fc.pre(JSON.stringify(altered) !== JSON.stringify(body));
        const document = { ...grant, body: altered };
        expect(codeOf(() => parseReadGrant(document, expected))).toBe('PROTOCOL_BAD_SIGNATURE');
      }),
    );
    const token = signToken(renter, {
      contract,
      ...parties(renter),
      farmer: other.nodeId,
      direction: 'download',
      offset: 0,
      length: 1,
      expires: now + 1000,
      nonce: toHex(systemRandom(16)),
    });
    const renamed = { body, renterSignature: token.signature };
    expect(codeOf(() => parseReadGrant(renamed, expected))).toBe('PROTOCOL_BAD_SIGNATURE');
  });

  it('and revocations are refused when they are of another form, whatever that is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(codeOf(() => parseReadGrant(value, expected))).toBe('PROTOCOL_MALFORMED');
        expect(codeOf(() => parseRevocation(value))).toBe('PROTOCOL_MALFORMED');
      }),
    );
  });
});

describe('share records', () => {
  it('are read back, and belong to one share and page', () => {
    const record = signShareRecord(renter, 3, 7, Uint8Array.of(1, 2, 3));
    const share = renter.nodeId;
    expect(parseShareRecord(overTheWire(record), { share, page: 3 })).toEqual(record);
    expect(codeOf(() => parseShareRecord(record, { share, page: 2 }))).toBe(
      'PROTOCOL_BAD_SIGNATURE',
    );
    expect(codeOf(() => parseShareRecord(record, { share: other.nodeId, page: 3 }))).toBe(
      'PROTOCOL_BAD_SIGNATURE',
    );
    for (const change of [{ page: 4 }, { sequence: 8 }, { sealed: 'AAAA' }]) {
      const altered = { ...record, body: { ...record.body, ...change } };
      expect(codeOf(() => parseShareRecord(altered))).toBe('PROTOCOL_BAD_SIGNATURE');
    }
    // Who can read a share can't write it.
    const forged = {
      ...record,
      signature: signShareRecord(reader, 3, 7, Uint8Array.of(1)).signature,
    };
    expect(codeOf(() => parseShareRecord(forged))).toBe('PROTOCOL_BAD_SIGNATURE');
  });

  it('are kept at a place of their own each, and have bounds', () => {
    const places = Array.from({ length: MAX_SHARE_PAGES }, (_, page) =>
      shareKeyOf(renter.nodeId, page),
    );
    expect(new Set([...places, shareKeyOf(other.nodeId, 0)]).size).toBe(MAX_SHARE_PAGES + 1);
    expect(codeOf(() => signShareRecord(renter, 0, 1, new Uint8Array(200_000)))).toBe(
      'PROTOCOL_TOO_LARGE',
    );
    for (const page of [-1, 0.5, MAX_SHARE_PAGES]) {
      expect(codeOf(() => parseShareQuery({ share: renter.nodeId, page }))).toBe(
        'PROTOCOL_MALFORMED',
      );
    }
  });
});

describe('share links', () => {
  const addresses = fc.subarray([
    'https://127.0.0.1:4600',
    `wss://farm.example.org:4601/${'ab'.repeat(32)}`,
    `webrtc://203.0.113.5:4601/${'cd'.repeat(32)}`,
    'https://[2001:db8::1]:4600',
  ]);
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  const links = fc.record({
    share: bytes(32).map(toHex),
    secret: bytes(32),
    addresses,
    page: fc.constantFrom(
      null,
      'https://app.example.org/share.html',
      'http://127.0.0.1:8080/a/s.html',
    ),
  });

  it('say what went in, with everything that matters behind the #', () => {
    fc.assert(
      fc.property(links, (link) => {
        const text = formatShareLink(link);
        expect(isShareLink(text)).toBe(true);
        const read = parseShareLink(`  ${text}\n`);
        expect({ ...read, secret: toHex(read.secret) }).toEqual({
          ...link,
          secret: toHex(link.secret),
        });
        expect(text.split('#')[0]).toBe(link.page ?? 'granary:share');
        expect(text.length).toBeLessThan(600);
      }),
    );
  });

  it('are short', () => {
    const link = {
      share: 'ab'.repeat(32),
      secret: new Uint8Array(32),
      addresses: ['https://farm.example.org:4600'],
      page: 'https://app.example.org/share.html',
    };
    expect(formatShareLink(link).length).toBeLessThan(170);
  });

  it('that were cut off, altered or made by somebody hostile are told as such', () => {
    const text = formatShareLink({
      share: 'ab'.repeat(32),
      secret: fromHex('cd'.repeat(32)),
      addresses: [],
      page: 'https://app.example.org/share.html',
    });
    for (let length = 0; length < text.length; length += 1) {
      expect(codeOf(() => parseShareLink(text.slice(0, length)))).toBe('PROTOCOL_MALFORMED');
    }
    expect(() => parseShareLink(text.replace('#1.', '#2.'))).toThrow(/newer/);
    expect(() => parseShareLink(`javascript:alert(1)${text.slice(text.indexOf('#'))}`)).toThrow();
    expect(() => parseShareLink(`${text}&at=https%3A%2F%2F%00`)).toThrow(ProtocolError);
    expect(() => parseShareLink(`${text}&at=%`)).toThrow(ProtocolError);
    expect(parseShareLink(`${text}&later=1`).addresses).toEqual([]);
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (tail) => {
        const outcome = codeOf(() => parseShareLink(`https://a.example/share.html#${tail}`));
        expect(outcome).not.toBeInstanceOf(KadError);
        expect(outcome).toBe('PROTOCOL_MALFORMED');
      }),
    );
  });
});
