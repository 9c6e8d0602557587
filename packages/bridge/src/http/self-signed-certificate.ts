import 'reflect-metadata';
import { X509Certificate, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import type { Clock, Random } from '@granary/kad';

/** A private key and a certificate (chain), each in PEM. */
export interface TlsPair {
  readonly key: string | Buffer;
  readonly cert: string | Buffer;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 24 * 3600 * 1000;
/** Clients refuse certificates that are valid for longer. */
const VALID_MS = 397 * DAY_MS;
/** Before it ends, a certificate is replaced. */
const RENEW_MS = 30 * DAY_MS;

/**
 * Make a key and a self-signed certificate for a server. It is good for clients that are told to trust it, and
 * can't sign others.
 *
 * @param names - DNS names (`*.` for all below one) and IP addresses of the server
 */
export async function createSelfSigned(
  names: readonly string[],
  clock: Clock,
  random: Random,
): Promise<{ key: string; cert: string }> {
  const { subtle } = webcrypto;
  const keys = await subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const serial = Buffer.from(random(16));
  // A positive number without leading zeros (RFC 5280, 4.1.2.2).
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serial.toString('hex'),
      name: 'CN=Granary bridge',
      notBefore: new Date(clock.now() - DAY_MS),
      notAfter: new Date(clock.now() + VALID_MS),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
        new x509.SubjectAlternativeNameExtension(
          names.map((name) => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name })),
        ),
      ],
    },
    webcrypto,
  );
  const pkcs8 = Buffer.from(await subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8.match(/.{1,64}/g)!.join('\n')}\n-----END PRIVATE KEY-----\n`,
    cert: `${certificate.toString('pem')}\n`,
  };
}

/** Whether a certificate of {@link createSelfSigned} is still good: for these names, and for a while. */
export function isStillGood(cert: string, names: readonly string[], clock: Clock): boolean {
  try {
    const certificate = new X509Certificate(cert);
    return (
      Date.parse(certificate.validTo) - clock.now() > RENEW_MS &&
      names.every((name) =>
        isIP(name) !== 0
          ? certificate.checkIP(name) !== undefined
          : certificate.checkHost(name, { subject: 'never' }) !== undefined ||
            certificate.subjectAltName?.split(', ').includes(`DNS:${name}`) === true,
      )
    );
  } catch {
    return false;
  }
}
