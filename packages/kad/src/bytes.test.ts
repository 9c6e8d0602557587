import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, fromBase64, fromHex, fromUtf8, toBase64, toHex, utf8 } from './bytes.js';
import * as browser from './platform.browser.js';
import * as node from './platform.js';

const bytes = fc.uint8Array({ maxLength: 300 });

/** Typed arrays of one kind, so that a Buffer and a Uint8Array with the same bytes are equal. */
const plain = (array: Uint8Array) => new Uint8Array(array);

describe('text from bytes and back', () => {
  it('gives back what went in', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        expect(plain(fromHex(toHex(value)))).toEqual(value);
        expect(plain(fromHex(toHex(value).toUpperCase()))).toEqual(value);
        expect(plain(fromBase64(toBase64(value)))).toEqual(value);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(fromUtf8(utf8(text))).toBe(text);
      }),
    );
    expect(plain(concatBytes(Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3)))).toEqual(
      Uint8Array.of(1, 2, 3),
    );
  });

  it.each(['0', 'xx', '0x00', '00 ', 'äö', '\u0130\u0131'])('refuses %j as hex', (text) => {
    expect(() => fromHex(text)).toThrow(expect.objectContaining({ code: 'KAD_BAD_PARAMETERS' }));
  });

  it.each(['AA', 'AAA', 'A===', '====', 'AA=A', 'AA\nA', ' AAA', '-_-_', 'AAAAA', 'äöüß'])(
    'refuses %j as base64',
    (text) => {
      expect(() => fromBase64(text)).toThrow(
        expect.objectContaining({ code: 'KAD_BAD_PARAMETERS' }),
      );
    },
  );
});

describe('Node and browsers', () => {
  it('encode and decode alike', () => {
    fc.assert(
      fc.property(bytes, fc.string({ unit: 'binary' }), (value, text) => {
        expect(browser.encodeHex(value)).toBe(node.encodeHex(value));
        expect(browser.encodeBase64(value)).toBe(node.encodeBase64(value));
        expect(browser.decodeUtf8(value)).toBe(node.decodeUtf8(value));
        expect(plain(browser.encodeUtf8(text))).toEqual(plain(node.encodeUtf8(text)));
        const hex = node.encodeHex(value);
        expect(plain(browser.decodeHex(hex))).toEqual(plain(node.decodeHex(hex)));
        expect(plain(browser.concat([value, value]))).toEqual(plain(node.concat([value, value])));
      }),
    );
    fc.assert(
      fc.property(fc.base64String(), (text) => {
        expect(plain(browser.decodeBase64(text))).toEqual(plain(node.decodeBase64(text)));
      }),
    );
    const large = node.randomBytes(300_000);
    expect(browser.encodeBase64(large)).toBe(node.encodeBase64(large));
    expect(browser.decodeBase64('*')).toHaveLength(0);
    // A byte-order mark is a character like others.
    const mark = Uint8Array.of(0xef, 0xbb, 0xbf, 0x41);
    expect(browser.decodeUtf8(mark)).toBe(node.decodeUtf8(mark));
  });

  it('hash alike', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        expect(plain(browser.sha256(value))).toEqual(plain(node.sha256(value)));
        const count = Math.max(1, Math.ceil(value.length / 7));
        const parts = Array.from({ length: count }, (_, i) =>
          node.sha256(value.subarray(7 * i, 7 * i + 7)),
        );
        for (const { sha256Each } of [node, browser]) {
          expect(plain(sha256Each(value, 7))).toEqual(plain(Buffer.concat(parts)));
        }
      }),
    );
  });

  it('draw as many random bytes as they are asked for, and others each time', () => {
    for (const platform of [browser, node]) {
      for (const count of [0, 1, 32, 65_536, 65_537, 200_000]) {
        expect(platform.randomBytes(count)).toHaveLength(count);
      }
      expect(platform.randomBytes(32)).not.toEqual(platform.randomBytes(32));
      expect(
        platform
          .randomBytes(131_073)
          .subarray(131_041)
          .some((byte) => byte !== 0),
      ).toBe(true);
    }
  });

  it('make the same keys and signatures, and take the same', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.nat(),
        (key, digest, at) => {
          expect(browser.isPrivateKey(key)).toBe(node.isPrivateKey(key));
          if (!node.isPrivateKey(key)) return;
          const publicKey = node.publicKeyOf(key);
          expect(plain(browser.publicKeyOf(key))).toEqual(plain(publicKey));
          const signature = node.signDigest(digest, key);
          expect(plain(browser.signDigest(digest, key))).toEqual(plain(signature));
          expect(browser.verifyDigest(digest, publicKey, signature)).toBe(true);
          expect(node.verifyDigest(digest, publicKey, signature)).toBe(true);
          expect(plain(browser.expandKey(publicKey)!)).toEqual(plain(node.expandKey(publicKey)!));
          const keys = ([0, 1] as const).map((parity) => {
            const known = plain(node.recoverKey(digest, signature, parity)!);
            expect(plain(browser.recoverKey(digest, signature, parity)!)).toEqual(known);
            return known;
          });
          expect(keys).toContainEqual(plain(publicKey));
          const wrong = Uint8Array.from(signature);
          wrong[at % 64]! ^= 1 << (at % 8);
          expect(takes(browser, digest, publicKey, wrong)).toBe(false);
          expect(takes(node, digest, publicKey, wrong)).toBe(false);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('refuse high S, the zero key and keys beyond the order', () => {
    const n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const bytesOf = (number: bigint) => fromHex(number.toString(16).padStart(64, '0'));
    const key = bytesOf(7n);
    const digest = node.sha256(key);
    const low = node.signDigest(digest, key);
    const s = BigInt(`0x${toHex(low.subarray(32))}`);
    const high = concatBytes(low.subarray(0, 32), bytesOf(n - s));
    for (const platform of [browser, node]) {
      // No point of the curve has this x, and no nonce was so large.
      expect(platform.expandKey(concatBytes(Uint8Array.of(2), bytesOf(5n)))).toBe(undefined);
      expect(platform.expandKey(concatBytes(Uint8Array.of(2), bytesOf(2n ** 256n - 1n)))).toBe(
        undefined,
      );
      const none = concatBytes(bytesOf(5n), low.subarray(32));
      expect(recovers(platform, digest, none)).toBe(false);
      expect(takes(platform, digest, platform.publicKeyOf(key), low)).toBe(true);
      expect(takes(platform, digest, platform.publicKeyOf(key), high)).toBe(false);
      expect(platform.isPrivateKey(bytesOf(0n))).toBe(false);
      expect(platform.isPrivateKey(bytesOf(n))).toBe(false);
      expect(platform.isPrivateKey(bytesOf(n - 1n))).toBe(true);
      for (const length of [0, 32, 34, 65]) {
        expect(takes(platform, digest, new Uint8Array(length).fill(2), low)).toBe(false);
      }
      for (const length of [0, 63, 65]) {
        expect(takes(platform, digest, platform.publicKeyOf(key), new Uint8Array(length))).toBe(
          false,
        );
      }
    }
  });
});

function recovers(platform: typeof node, digest: Uint8Array, signature: Uint8Array): boolean {
  try {
    return platform.recoverKey(digest, signature, 0) !== undefined;
  } catch {
    return false;
  }
}

function takes(
  platform: typeof node,
  digest: Uint8Array,
  publicKey: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    return platform.verifyDigest(digest, publicKey, signature);
  } catch {
    return false;
  }
}
