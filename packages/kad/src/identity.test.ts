import { chmod, mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { signContact, parseContact } from './contact.js';
import { Identity, verifySignature } from './identity.js';
import { loadIdentity, saveIdentity } from './identity-file.js';
import { bucketIndex, distance, nodeIdOf, randomIdInBucket } from './node-id.js';
import { sha256 } from './sha256.js';
import { seededRandom } from './memory-nodes.test-support.js';

const digest = sha256(Buffer.from('message'));

describe('identities', () => {
  it('sign what another implementation accepts, and accept what it signs', () => {
    const identity = Identity.generate();
    const signature = identity.sign(digest);
    expect(signature.length).toBe(64);
    expect(secp256k1.verify(signature, digest, identity.publicKey, { prehash: false })).toBe(true);
    const theirs = secp256k1.sign(digest, identity.exportPrivateKey(), { prehash: false });
    expect(Buffer.from(theirs).equals(Buffer.from(signature))).toBe(true);
    expect(verifySignature(identity.publicKey, digest, theirs)).toBe(true);
  });

  it('refuse every altered signature, key and digest, and high S', () => {
    const identity = Identity.generate();
    const signature = identity.sign(digest);
    fc.assert(
      fc.property(fc.nat({ max: 63 }), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const forged = signature.slice();
        forged[at]! ^= mask;
        expect(verifySignature(identity.publicKey, digest, forged)).toBe(false);
      }),
    );
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`);
    const high = Buffer.concat([
      signature.subarray(0, 32),
      Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex'),
    ]);
    expect(verifySignature(identity.publicKey, digest, high)).toBe(false);
    expect(verifySignature(Identity.generate().publicKey, digest, signature)).toBe(false);
    expect(verifySignature(identity.publicKey, sha256(digest), signature)).toBe(false);
    expect(verifySignature(new Uint8Array(33), digest, signature)).toBe(false);
    expect(verifySignature(identity.publicKey, digest, new Uint8Array(3))).toBe(false);
  });

  it('are kept in a file of mode 0600 that is not overwritten', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'granary-identity-'));
    const path = join(directory, 'deep', 'identity.json');
    const identity = Identity.generate();
    await saveIdentity(path, identity);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await loadIdentity(path)).nodeId).toBe(identity.nodeId);
    const before = await readFile(path, 'utf8');
    await expect(saveIdentity(path, Identity.generate())).rejects.toMatchObject({
      code: 'KAD_IDENTITY_EXISTS',
    });
    expect(await readFile(path, 'utf8')).toBe(before);
    await chmod(path, 0o644);
    await expect(loadIdentity(path)).rejects.toThrow(/chmod 600/);
  });

  it('say what is wrong with a file', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'granary-identity-'));
    await expect(loadIdentity(join(directory, 'none'))).rejects.toThrow(/no identity/);
    for (const text of [
      '',
      '{}',
      'null',
      '{"privateKey":"00"}',
      `{"privateKey":"${'0'.repeat(64)}"}`,
    ]) {
      const path = join(directory, 'bad');
      await writeFile(path, text, { mode: 0o600 });
      await expect(loadIdentity(path)).rejects.toMatchObject({ code: 'KAD_IDENTITY_FILE' });
    }
  });

  it('do not show their key in JSON', () => {
    const identity = Identity.generate();
    expect(JSON.stringify({ identity })).toBe(`{"identity":{"nodeId":"${identity.nodeId}"}}`);
  });
});

describe('contacts', () => {
  const identity = Identity.generate();
  const contact = signContact(identity, { addresses: ['https://a.test:1'], sequence: 7 });

  it('come back as they were signed', () => {
    expect(parseContact(JSON.parse(JSON.stringify(contact)))).toEqual(contact);
    expect(contact.nodeId).toBe(nodeIdOf(identity.publicKey));
  });

  it('are refused when a field was changed', () => {
    const other = Identity.generate();
    for (const change of [
      { addresses: ['https://b.test:1'] },
      { addresses: [] },
      { sequence: 8 },
      { nodeId: other.nodeId },
      { publicKey: Buffer.from(other.publicKey).toString('hex') },
      { signature: 'ab'.repeat(64) },
      { protocolVersion: 2 },
      { sequence: -1 },
      { addresses: ['http://a.test:1'] },
      { addresses: ['https://user@a.test:1'] },
      { addresses: Array<string>(9).fill('https://a.test:1') },
      { addresses: [`https://${'a'.repeat(300)}.test`] },
      { addresses: 'https://a.test:1' },
    ]) {
      expect(() => parseContact({ ...contact, ...change }), JSON.stringify(change)).toThrow();
    }
  });

  it('never throw anything but KadError', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        try {
          parseContact(value);
        } catch (error) {
          expect((error as Error).name).toBe('KadError');
        }
      }),
    );
  });
});

describe('the XOR metric', () => {
  const id = fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .map((bytes) => Buffer.from(bytes).toString('hex'));

  it('is a metric in which every bucket covers its distances', () => {
    fc.assert(
      fc.property(id, id, (a, b) => {
        expect(distance(a, b)).toBe(distance(b, a));
        expect(distance(a, a)).toBe('0'.repeat(64));
        const d = BigInt(`0x${distance(a, b)}`);
        expect(d).toBe(BigInt(`0x${a}`) ^ BigInt(`0x${b}`));
        expect(bucketIndex(a, b)).toBe(d === 0n ? -1 : d.toString(2).length - 1);
      }),
    );
  });

  it('gives random IDs that fall into their bucket', () => {
    const random = seededRandom('buckets');
    fc.assert(
      fc.property(id, fc.nat({ max: 255 }), (own, index) => {
        expect(bucketIndex(own, randomIdInBucket(own, index, random))).toBe(index);
      }),
    );
  });
});
