import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AUDIT_NONCE } from '@granary/protocol';
import * as browserGzip from './compression.browser.js';
import * as nodeGzip from './compression.js';
import * as browser from './crypto.browser.js';
import * as node from './crypto.js';
import { textLines } from './text-lines.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
const some = fc.uint8Array({ maxLength: 20_000 });

async function* pieces(all: Uint8Array, size: number) {
  for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size);
}

async function gathered(source: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts).toString('hex');
}

describe('cryptography in browsers', () => {
  it('derives keys and makes codes as in Node', () => {
    fc.assert(
      fc.property(bytes(32), some, fc.string(), (key, data, text) => {
        expect(hex(browser.hkdf(key, data, text, 32))).toBe(hex(node.hkdf(key, data, text, 32)));
        expect(hex(browser.hmac(key, data, key))).toBe(hex(node.hmac(key, data, key)));
      }),
      { numRuns: 30 },
    );
  });

  it('opens what Node has sealed, and the other way about, and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(bytes(32), bytes(12), some, some, async (key, nonce, aad, plain) => {
        const sealed = node.seal(key, nonce, aad, plain);
        expect(hex(browser.seal(key, nonce, aad, plain))).toBe(hex(sealed));
        expect(hex(browser.open(key, nonce, aad, sealed))).toBe(hex(plain));
        const [a, b] = [await node.chunkCipher(key), await browser.chunkCipher(key)];
        const out = new Uint8Array(sealed.length);
        await b.seal(nonce, aad, plain, out);
        expect(hex(out)).toBe(hex(sealed));
        for (const cipher of [a, b]) {
          const opened = new Uint8Array(plain.length);
          await cipher.open(nonce, aad, sealed, opened);
          expect(hex(opened)).toBe(hex(plain));
        }
        const other = Uint8Array.from(sealed);
        other[other.length - 1]! ^= 1;
        expect(() => node.open(key, nonce, aad, other)).toThrow();
        expect(() => browser.open(key, nonce, aad, other)).toThrow();
        await expect(b.open(nonce, aad, other, new Uint8Array(plain.length))).rejects.toThrow();
      }),
      { numRuns: 30 },
    );
  });

  it('hashes as in Node', async () => {
    await fc.assert(
      fc.asyncProperty(some, bytes(32), async (data, head) => {
        expect(hex(await browser.digest(data))).toBe(hex(await node.digest(data)));
        expect(hex(await browser.leafHashes(data))).toBe(hex(await node.leafHashes(data)));
        const [ours, theirs] = await Promise.all(
          [node, browser].map(({ gmac }) => gmac(head, AUDIT_NONCE, data)),
        );
        expect(hex(theirs!)).toBe(hex(ours!));
        const [a, b] = [await node.growingHash(), await browser.growingHash()];
        for (const hash of [a, b]) {
          await hash.update(data);
          await hash.update(head);
        }
        expect(b.hex()).toBe(a.hex());
      }),
      { numRuns: 30 },
    );
    // More than goes into one step.
    const large = new Uint8Array(3 * 1024 * 1024 + 5).fill(7);
    expect(hex(await browser.leafHashes(large))).toBe(hex(await node.leafHashes(large)));
    const [a, b] = [await node.growingHash(), await browser.growingHash()];
    for (const hash of [a, b]) await hash.update(large);
    expect(b.hex()).toBe(a.hex());
  });
});

describe('gzip in browsers', () => {
  const text = Buffer.from('a line of the index\n'.repeat(20_000));
  const platforms = [nodeGzip, browserGzip];

  it('expands what Node has compressed, and the other way about', async () => {
    for (const [a, b] of [platforms, platforms.toReversed()]) {
      expect(hex(await a!.gunzip(await b!.gzip(text), text.length))).toBe(hex(text));
      const packed = b!.gzipStream(pieces(text, 1000));
      expect(await gathered(a!.gunzipStream(packed))).toBe(hex(text));
    }
  });

  it('refuses what comes to too much, is damaged or cut short', async () => {
    const packed = await nodeGzip.gzip(text);
    const damaged = Uint8Array.from(packed);
    damaged[damaged.length - 6]! ^= 1;
    for (const { gunzip, gunzipStream } of platforms) {
      await expect(gunzip(packed, text.length - 1)).rejects.toThrow();
      await expect(gunzip(damaged, text.length)).rejects.toThrow();
      await expect(gathered(gunzipStream(pieces(packed.subarray(0, -9), 100)))).rejects.toThrow();
    }
  });

  it('fails as its source does', async () => {
    const failing = async function* () {
      yield new Uint8Array(10);
      throw new Error('the source is gone');
    };
    for (const { gzipStream } of platforms) {
      await expect(gathered(gzipStream(failing()))).rejects.toThrow('the source is gone');
    }
  });
});

describe('lines of text', () => {
  it('are found wherever it is cut', async () => {
    const line = fc.string({ unit: fc.constantFrom('a', 'é', '€', '\u{10000}'), maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(line),
        fc.constantFrom('\n', '\r\n'),
        fc.integer({ min: 1, max: 7 }),
        async (lines, end, size) => {
          const whole = Buffer.from(lines.map((one) => one + end).join(''));
          const found: string[] = [];
          for await (const one of textLines(pieces(whole, size))) found.push(one);
          expect(found).toEqual(lines);
        },
      ),
    );
  });
});
