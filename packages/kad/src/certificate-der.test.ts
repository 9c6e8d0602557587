import 'reflect-metadata';
import { X509Certificate, generateKeyPairSync, randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { extensionOf, selfSignedCertificate } from './certificate-der.js';
import { IDENTITY_EXTENSION, createTlsCredentials, identityOfCertificate } from './certificate.js';
import { Identity } from './identity.js';

const OID = '1.3.6.1.3.47261.1';
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
const seconds = fc
  .integer({ min: 0, max: Date.UTC(2099, 0) / 1000 })
  .map((time) => new Date(time * 1000));

describe('a self-signed certificate', () => {
  it('says to two other readers what it was told to say', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[0-9a-f]{1,32}$/),
        seconds,
        seconds,
        fc.uint8Array({ maxLength: 300 }),
        (name, notBefore, notAfter, value) => {
          const content = { name, notBefore, notAfter, spki, extension: { oid: OID, value } };
          const der = selfSignedCertificate(content, privateKey);

          const native = new X509Certificate(der);
          expect(native.subject).toBe(`CN=${name}`);
          expect(native.issuer).toBe(`CN=${name}`);
          expect(native.serialNumber).toBe('01');
          expect(Date.parse(native.validFrom)).toBe(notBefore.getTime());
          expect(Date.parse(native.validTo)).toBe(notAfter.getTime());
          expect(native.verify(publicKey)).toBe(true);
          expect(new Uint8Array(native.publicKey.export({ type: 'spki', format: 'der' }))).toEqual(
            spki,
          );

          const other = new x509.X509Certificate(der as Uint8Array<ArrayBuffer>);
          expect(other.extensions).toHaveLength(1);
          expect(other.extensions[0]).toMatchObject({ type: OID, critical: false });
          expect(new Uint8Array(other.extensions[0]!.value)).toEqual(value);
          expect(other.notAfter).toEqual(notAfter);

          expect(extensionOf(der, OID)).toEqual(value);
          expect(extensionOf(der, '1.2.3')).toBeUndefined();
        },
      ),
      { numRuns: 50 },
    );
  });

  it('is read when another library has made it, with other extensions and in any order', async () => {
    const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
      'sign',
      'verify',
    ]);
    const make = (extensions: x509.Extension[]) =>
      x509.X509CertificateGenerator.createSelfSigned(
        { name: 'CN=x', signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' }, keys, extensions },
        webcrypto,
      ).then(({ rawData }) => new Uint8Array(rawData));
    const value = randomBytes(97);
    for (const critical of [false, true]) {
      const ours = new x509.Extension(OID, critical, value);
      const der = await make([new x509.BasicConstraintsExtension(true, 2, true), ours]);
      expect(extensionOf(der, OID)).toEqual(new Uint8Array(value));
    }
    expect(extensionOf(await make([]), OID)).toBeUndefined();
    const twice = await make([
      new x509.Extension(OID, false, value),
      new x509.Extension(OID, false, randomBytes(97)),
    ]);
    expect(() => extensionOf(twice, OID)).toThrow('twice');
  });

  it('of an identity is refused with a clear error when any of it was cut off or changed', async () => {
    const identity = Identity.generate();
    const { cert } = await createTlsCredentials(identity);
    const der = new Uint8Array(new X509Certificate(cert).raw);
    expect(extensionOf(der, IDENTITY_EXTENSION)).toHaveLength(97);
    expect(identityOfCertificate(der).nodeId).toBe(identity.nodeId);
    const refused = (bytes: Uint8Array) => {
      try {
        // What is changed in the signature's own encoding may still be a good signature.
        return identityOfCertificate(bytes).nodeId === identity.nodeId ? 'same' : 'other';
      } catch (error) {
        return (error as { code?: unknown }).code;
      }
    };
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.nat(7), (at, bit) => {
        expect(refused(der.slice(0, at))).toBe('KAD_BAD_CERTIFICATE');
        const changed = der.slice();
        changed[at]! ^= 1 << bit;
        expect(refused(changed)).toBe('KAD_BAD_CERTIFICATE');
      }),
      { numRuns: 200 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(refused(bytes)).toBe('KAD_BAD_CERTIFICATE');
      }),
    );
    // As deep as fits: whoever reads it must not fall over.
    const deep = Buffer.concat(Array.from({ length: 8000 }, () => Buffer.from([0x30, 0x80])));
    expect(refused(deep)).toBe('KAD_BAD_CERTIFICATE');
  });
});
