import fc from 'fast-check';
import * as wasm from 'tiny-secp256k1';
import { describe, expect, it } from 'vitest';
import { nativeSecp256k1 } from './native-secp256k1.js';

const digests = fc.uint8Array({ minLength: 32, maxLength: 32 });
const keys = digests.filter((key) => wasm.isPrivate(key));
/** The order of the curve's group (SEC 2, section 2.4.1). */
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

const toNumber = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const toBytes = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex');

/** The answer, or that there was none. */
function orThrown(work: () => boolean): boolean | 'thrown' {
  try {
    return work();
  } catch {
    return 'thrown';
  }
}

describe.skipIf(nativeSecp256k1 === undefined)(
  'the native secp256k1 (skipped on platforms that have no binary of it)',
  () => {
    const native = nativeSecp256k1!;

    it('signs byte for byte as the one in WebAssembly', () => {
      fc.assert(
        fc.property(digests, keys, (digest, key) => {
          const { signature } = native.ecdsaSign(digest, key);
          expect(Buffer.from(signature)).toEqual(Buffer.from(wasm.sign(digest, key)));
        }),
      );
    });

    it('takes and refuses the same signatures, whatever was changed', () => {
      const flip = fc.record({
        of: fc.constantFrom('digest', 'key', 'signature'),
        at: fc.nat(63),
        bit: fc.nat(7),
      });
      fc.assert(
        fc.property(digests, keys, fc.option(flip, { nil: undefined }), (digest, key, change) => {
          const parts = {
            digest: Buffer.from(digest),
            key: Buffer.from(wasm.pointFromScalar(key, true)!),
            signature: Buffer.from(wasm.sign(digest, key)),
          };
          if (change !== undefined) {
            const bytes = parts[change.of as keyof typeof parts];
            bytes[change.at % bytes.length]! ^= 1 << change.bit;
          }
          const ours = orThrown(() => native.ecdsaVerify(parts.signature, parts.digest, parts.key));
          const theirs = orThrown(() =>
            wasm.verify(parts.digest, parts.key, parts.signature, true),
          );
          expect(ours === true).toBe(theirs === true);
          expect(ours === true).toBe(change === undefined);
        }),
      );
    });

    it('refuses high S, zero, and numbers beyond the order', () => {
      fc.assert(
        fc.property(digests, keys, (digest, key) => {
          const publicKey = wasm.pointFromScalar(key, true)!;
          const signature = Buffer.from(wasm.sign(digest, key));
          const [r, s] = [signature.subarray(0, 32), signature.subarray(32)];
          for (const [first, second] of [
            [r, toBytes(ORDER - toNumber(s))],
            [r, toBytes(0n)],
            [toBytes(0n), s],
            [r, toBytes(ORDER)],
            [toBytes(ORDER), s],
          ] as const) {
            const forged = Buffer.concat([first, second]);
            expect(orThrown(() => native.ecdsaVerify(forged, digest, publicKey))).not.toBe(true);
          }
        }),
        { numRuns: 25 },
      );
    });
  },
);
