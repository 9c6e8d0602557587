import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadIdentity, saveIdentity } from './identity-file.js';
import { Identity, verifySignature } from './identity.js';
import { nodeIdOf } from './node-id.js';
import { sha256 } from './sha256.js';

/** The order of secp256k1 (SEC 2, section 2.4.1). */
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

const scalar = fc
  .bigInt({ min: 1n, max: ORDER - 1n })
  .map((n) => Buffer.from(n.toString(16).padStart(64, '0'), 'hex'));
const digests = fc.uint8Array({ minLength: 32, maxLength: 32 });

function toBigInt(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}

describe('an identity', () => {
  it('has the public key of the generator for the private key 1', () => {
    const key = Buffer.alloc(32);
    key[31] = 1;
    const identity = Identity.fromPrivateKey(key);
    expect(Buffer.from(identity.publicKey).toString('hex')).toBe(
      '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798',
    );
    expect(identity.nodeId).toBe(
      '0f715baf5d4c2ed329785cef29e562f73488c8a2bb9dbc5700b361d54b9b0554',
    );
  });

  it('signs as the RFC 6979 vector for secp256k1 says', () => {
    const key = Buffer.alloc(32);
    key[31] = 1;
    const digest = sha256(Buffer.from('Satoshi Nakamoto'));
    expect(Buffer.from(Identity.fromPrivateKey(key).sign(digest)).toString('hex')).toBe(
      '934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8' +
        '2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5',
    );
  });

  it('makes signatures that verify, with a low S, the same each time', () => {
    fc.assert(
      fc.property(scalar, digests, (key, digest) => {
        const identity = Identity.fromPrivateKey(key);
        const signature = identity.sign(digest);
        expect(signature).toHaveLength(64);
        expect(toBigInt(signature.subarray(32)) <= ORDER / 2n).toBe(true);
        expect(identity.sign(digest)).toEqual(signature);
        expect(verifySignature(identity.publicKey, digest, signature)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('refuses the high-S twin of a signature', () => {
    fc.assert(
      fc.property(scalar, digests, (key, digest) => {
        const identity = Identity.fromPrivateKey(key);
        const signature = Buffer.from(identity.sign(digest));
        const high = ORDER - toBigInt(signature.subarray(32));
        signature.write(high.toString(16).padStart(64, '0'), 32, 'hex');
        expect(verifySignature(identity.publicKey, digest, signature)).toBe(false);
      }),
      { numRuns: 50 },
    );
  });

  it('refuses a signature with any one bit changed', () => {
    const identity = Identity.generate();
    const digest = sha256(Buffer.from('a message'));
    const signature = identity.sign(digest);
    for (let bit = 0; bit < 512; bit += 1) {
      const wrong = Uint8Array.from(signature);
      wrong[bit >> 3]! ^= 1 << (bit & 7);
      expect(verifySignature(identity.publicKey, digest, wrong)).toBe(false);
    }
  });

  it('refuses a signature on another digest or by another key', () => {
    const identity = Identity.generate();
    const digest = sha256(Buffer.from('a message'));
    const signature = identity.sign(digest);
    expect(verifySignature(identity.publicKey, sha256(digest), signature)).toBe(false);
    expect(verifySignature(Identity.generate().publicKey, digest, signature)).toBe(false);
  });

  it('never throws on nonsense', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 70 }),
        fc.uint8Array({ maxLength: 70 }),
        fc.uint8Array({ maxLength: 70 }),
        (key, digest, signature) => {
          expect(verifySignature(key, digest, signature)).toBe(false);
        },
      ),
    );
  });

  it('cannot be made of zero, of the order, or of a wrong length', () => {
    const order = Buffer.from(ORDER.toString(16), 'hex');
    for (const key of [Buffer.alloc(32), order, Buffer.alloc(31, 1), Buffer.alloc(33, 1)]) {
      expect(() => Identity.fromPrivateKey(key)).toThrow(
        expect.objectContaining({ code: 'KAD_IDENTITY_FILE' }),
      );
    }
  });

  it('draws again when the random bytes are not a key', () => {
    const draws = [Buffer.alloc(32), Buffer.alloc(32, 255), Buffer.alloc(32, 7)];
    const identity = Identity.generate(() => draws.shift()!);
    expect(identity.exportPrivateKey()).toEqual(new Uint8Array(32).fill(7));
  });

  it('gives out copies of its private key, and keeps it out of JSON', () => {
    const identity = Identity.generate();
    const first = identity.exportPrivateKey();
    const hex = Buffer.from(first).toString('hex');
    first.fill(0);
    expect(Buffer.from(identity.exportPrivateKey()).toString('hex')).toBe(hex);
    expect(JSON.stringify({ identity })).toBe(`{"identity":{"nodeId":"${identity.nodeId}"}}`);
  });

  it('has the hash of its public key as its ID', () => {
    const identity = Identity.generate();
    expect(identity.nodeId).toBe(nodeIdOf(identity.publicKey));
    expect(identity.nodeId).toBe(Buffer.from(sha256(identity.publicKey)).toString('hex'));
  });
});

describe('an identity file', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'kad-identity-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('brings the same identity back', async () => {
    const path = join(directory, 'sub', 'identity.json');
    const identity = Identity.generate();
    await saveIdentity(path, identity);
    const loaded = await loadIdentity(path);
    expect(loaded.nodeId).toBe(identity.nodeId);
    expect(loaded.exportPrivateKey()).toEqual(identity.exportPrivateKey());
  });

  it('has mode 0600 whatever the umask, and leaves no other file behind', async () => {
    const path = join(directory, 'identity.json');
    await saveIdentity(path, Identity.generate());
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).toEqual(['identity.json']);
  });

  it('is never overwritten', async () => {
    const path = join(directory, 'identity.json');
    const first = Identity.generate();
    await saveIdentity(path, first);
    await expect(saveIdentity(path, Identity.generate())).rejects.toMatchObject({
      code: 'KAD_IDENTITY_EXISTS',
    });
    expect((await loadIdentity(path)).nodeId).toBe(first.nodeId);
    expect(await readdir(directory)).toEqual(['identity.json']);
  });

  it('takes the place of what a crash left half written', async () => {
    const path = join(directory, 'identity.json');
    await writeFile(`${path}.${process.pid}.new`, 'half');
    const identity = Identity.generate();
    await saveIdentity(path, identity);
    expect((await loadIdentity(path)).nodeId).toBe(identity.nodeId);
  });

  it('is refused when others can read it, and the message says what to do', async () => {
    const path = join(directory, 'identity.json');
    await saveIdentity(path, Identity.generate());
    for (const mode of [0o640, 0o604, 0o620, 0o601]) {
      await chmod(path, mode);
      await expect(loadIdentity(path)).rejects.toMatchObject({
        code: 'KAD_IDENTITY_FILE',
        message: expect.stringContaining(`chmod 600 ${path}`) as string,
      });
    }
  });

  it('is refused when it is missing', async () => {
    const path = join(directory, 'nothing.json');
    await expect(loadIdentity(path)).rejects.toMatchObject({
      code: 'KAD_IDENTITY_FILE',
      message: expect.stringContaining(path) as string,
    });
  });

  it('is refused when it holds something else, and the message does not show it', async () => {
    const zero = '0'.repeat(64);
    const texts = ['', '{', 'null', '[]', '{}', '{"privateKey":7}', `{"privateKey":"${zero}"}`];
    for (const [i, text] of [...texts, '{"privateKey":"abcdef"}'].entries()) {
      const path = join(directory, `${i}.json`);
      await writeFile(path, text, { mode: 0o600 });
      const error: unknown = await loadIdentity(path).catch((thrown: unknown) => thrown);
      expect(error, text).toMatchObject({ code: 'KAD_IDENTITY_FILE' });
      expect(String(error)).not.toContain('abcdef');
    }
  });

  it('holds the key as text that a person can copy', async () => {
    await mkdir(join(directory, 'a'));
    const path = join(directory, 'a', 'identity.json');
    const identity = Identity.generate();
    await saveIdentity(path, identity);
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({
      version: 1,
      privateKey: Buffer.from(identity.exportPrivateKey()).toString('hex'),
    });
  });
});
